package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// tokenTTL is how long an accepted token is not checked again, as in upstream's cache.
const tokenTTL = 10 * time.Second

// members answers what differs by member: which service accounts exist, for tokens (here), and which namespaces exist
// (namespaces.go). The context given to its clients has the member's name.
type members struct {
	client  kubernetes.Interface
	objects metadata.Interface
	ending  endingQueue
}

// connect makes the clients, which call this server's handler without a network.
func (m *members) connect(handler http.Handler, token string) (err error) {
	config := &rest.Config{Host: "https://member", BearerToken: token, Transport: inProcess{handler}, QPS: -1}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	if m.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	m.objects, err = metadata.NewForConfig(config)
	return err
}

// inProcess passes a client's request to the server's handler. Only the member's name is taken from the client's context,
// which is often that of a request being served: its user, deadline and audit record must not apply to this one.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := withMember(context.Background(), memberOf(r.Context()))
	request := httptest.NewRequestWithContext(ctx, r.Method, r.URL.RequestURI(), r.Body)
	request.Header = r.Header
	recorder := httptest.NewRecorder()
	p.handler.ServeHTTP(recorder, request)
	return recorder.Result(), nil
}

// All members share the key that signs service accounts' tokens. But a token is accepted only where its account, and the
// Secret to which it is bound, exist with the UIDs in it: in its own member.

func (m *members) GetServiceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	return m.client.CoreV1().ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
}

func (m *members) GetSecret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return m.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
}

func (m *members) GetPod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return m.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
}

func (m *members) GetNode(ctx context.Context, name string) (*corev1.Node, error) {
	return m.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
}

// remembering caches accepted tokens, by member.
func remembering(next authenticator.Request) authenticator.Request {
	accepted := utilcache.NewExpiring()
	return authenticator.RequestFunc(func(r *http.Request) (*authenticator.Response, bool, error) {
		header := r.Header.Get("Authorization")
		key := memberOf(r.Context()) + " " + header
		if known, ok := accepted.Get(key); ok {
			return known.(*authenticator.Response), true, nil
		}
		response, ok, err := next.AuthenticateRequest(r)
		if ok && err == nil && header != "" {
			accepted.Set(key, response, tokenTTL)
		}
		return response, ok, err
	})
}
