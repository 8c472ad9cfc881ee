// Command many is one kube-apiserver process that is many member clusters, for `fedctl playground up --shape many`.
//
// It is the upstream server, unmodified, with storage that is divided among the members (storage.go). Each member has a
// port; the context of every request that arrives there has the member's name. docs/playground.md lists how such a
// member differs from a real cluster.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/serviceaccount"
)

func main() {
	ctx := genericapiserver.SetupSignalContext()
	opts, ports := parse()
	all := &members{ending: newEndingQueue()}

	opts.Authentication.ServiceAccounts.OptionalTokenGetter = func(informers.SharedInformerFactory) serviceaccount.ServiceAccountTokenGetter { return all }
	// The key of upstream's token cache is the token alone, without the member. Ours is in members.go.
	opts.Authentication.TokenSuccessCacheTTL, opts.Authentication.TokenFailureCacheTTL = 0, 0
	// Upstream's admission plugins read from informers, which do not see the members' objects. Ours is in namespaces.go.
	opts.Admission.GenericAdmission.DisablePlugins = opts.Admission.GenericAdmission.RecommendedPluginOrder
	// The port for the server's own clients: any free one.
	var err error
	opts.SecureServing.Listener, opts.SecureServing.BindPort, err = genericoptions.CreateListener("tcp", "127.0.0.1:0", net.ListenConfig{})
	must(err)

	completedOptions, err := opts.Complete(ctx)
	must(err)
	for _, err := range completedOptions.Validate() {
		must(err)
	}
	config, err := app.NewConfig(completedOptions)
	must(err)
	control, extensions := config.KubeAPIs.ControlPlane.Generic, config.ApiExtensions
	for _, getter := range []*generic.RESTOptionsGetter{
		&control.RESTOptionsGetter, &extensions.GenericConfig.RESTOptionsGetter, &extensions.ExtraConfig.CRDRESTOptionsGetter,
		&config.Aggregator.GenericConfig.RESTOptionsGetter,
	} {
		*getter = slicedOptions{*getter, all.changed}
	}
	control.AdmissionControl, extensions.GenericConfig.AdmissionControl = all, all
	control.Authentication.Authenticator = remembering(control.Authentication.Authenticator)

	completed, err := config.Complete()
	must(err)
	server, err := app.CreateServerChain(completed)
	must(err)
	handler := server.GenericAPIServer.Handler
	must(all.connect(handler, control.LoopbackClientConfig.BearerToken))
	// /readyz is ok only when this has returned.
	must(server.GenericAPIServer.AddPostStartHook("namespaces-of-members", func(hook genericapiserver.PostStartHookContext) error {
		all.endNamespaces(hook)
		return all.makeNamespaces(hook, ports)
	}))
	prepared, err := server.PrepareRun()
	must(err)
	listen(ports, handler, opts.SecureServing.ServerCert.CertKey)
	must(prepared.Run(ctx))
}

// parse reads kube-apiserver's flags and --members, a file with {"name": port, ...}.
func parse() (*options.ServerRunOptions, map[string]int) {
	opts, ports := options.NewServerRunOptions(), map[string]int{}
	flags := pflag.NewFlagSet("many", pflag.ExitOnError)
	file := flags.String("members", "", `a file with {"name": port, ...}`)
	sets := opts.Flags()
	for _, set := range sets.FlagSets {
		flags.AddFlagSet(set)
	}
	must(flags.Parse(os.Args[1:]))
	content, err := os.ReadFile(*file)
	must(err)
	must(json.Unmarshal(content, &ports))

	// As kube-apiserver does before it looks at its options.
	components := opts.GenericServerRunOptions.ComponentGlobalsRegistry
	must(components.Set())
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	must(logsapi.ValidateAndApply(opts.Logs, components.FeatureGateFor(basecompatibility.DefaultKubeComponent)))
	return opts, ports
}

// listen opens every member's port. The timeouts and the request for client certificates are upstream's.
func listen(ports map[string]int, handler http.Handler, pair genericoptions.CertKey) {
	certificate, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	must(err)
	names := map[int]string{}
	server := &http.Server{
		Handler:           handler,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequestClientCert},
		IdleTimeout:       90 * time.Second,
		ReadHeaderTimeout: 32 * time.Second,
		BaseContext: func(listener net.Listener) context.Context {
			return withMember(context.Background(), names[listener.Addr().(*net.TCPAddr).Port])
		},
	}
	listeners := []net.Listener{}
	for name, port := range ports {
		names[port] = name
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		must(err)
		listeners = append(listeners, listener)
	}
	for _, listener := range listeners {
		go func() { must(server.ServeTLS(listener, "", "")) }()
	}
}

func must(err error) {
	if err != nil {
		klog.Fatal(err)
	}
}
