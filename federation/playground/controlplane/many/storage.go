package main

import (
	"context"
	"hash/fnv"
	"strconv"
	"strings"

	"google.golang.org/grpc/metadata"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/apis/core"
)

// root is the member of requests without one, which are the server's own. It has the objects that all members share.
const root = "root"

// watchStreams is the number of gRPC streams for the watches of each resource. etcd drops progress notifications, which
// are our bookmarks, when more than 128 are sent at once on one stream: 64 streams are enough for 8,000 members.
const watchStreams = 64

type memberKey struct{}

func withMember(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, memberKey{}, name)
}

func memberOf(ctx context.Context) string {
	if name, ok := ctx.Value(memberKey{}).(string); ok {
		return name
	}
	return root
}

// slicedOptions gives every resource sliced storage, without a watch cache, which cannot divide its keys.
type slicedOptions struct {
	generic.RESTOptionsGetter
	changed func(context.Context, runtime.Object) // called for every namespace that is written
}

func (s slicedOptions) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	opts, err := s.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err != nil {
		return opts, err
	}
	// The server reads the list of custom types, and that of aggregated APIs, for itself: these cannot differ by member.
	shared := resource.Group == "apiextensions.k8s.io" || resource.Group == "apiregistration.k8s.io"
	opts.Decorator = func(config *storagebackend.ConfigForResource, prefix string, _ func(runtime.Object) (string, error), newFunc, newListFunc func() runtime.Object,
		_ storage.AttrFunc, _ storage.IndexerFuncs, _ *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
		raw, destroy, err := generic.NewRawStorage(config, newFunc, newListFunc, prefix)
		made := &sliced{Interface: raw, prefix: "/" + strings.Trim(prefix, "/"), shared: shared}
		if resource == core.Resource("namespaces") {
			made.changed = s.changed
		}
		return made, destroy, err
	}
	return opts, nil
}

// sliced puts a member's objects under a prefix of its own: /configmaps/ns/name of member m1 is /configmaps/~m1/ns/name.
type sliced struct {
	storage.Interface
	prefix  string // of the resource, without a slash at its end
	shared  bool
	changed func(context.Context, runtime.Object)
}

func (s *sliced) key(ctx context.Context, key string) string {
	member := root
	if !s.shared {
		member = memberOf(ctx)
	}
	return s.prefix + "/~" + member + strings.TrimPrefix(key, s.prefix)
}

func (s *sliced) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	// Without the watch cache, etcd's progress notifications are the only bookmarks.
	opts.ProgressNotify = opts.Predicate.AllowWatchBookmarks && opts.Recursive
	hash := fnv.New32a()
	hash.Write([]byte(memberOf(ctx)))
	// etcd's client opens a stream for each set of metadata.
	ctx = metadata.AppendToOutgoingContext(ctx, "stream", strconv.Itoa(int(hash.Sum32()%watchStreams)))
	return s.Interface.Watch(ctx, s.key(ctx, key), opts)
}

func (s *sliced) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	return s.Interface.Create(ctx, s.key(ctx, key), obj, out, ttl)
}

func (s *sliced) Delete(ctx context.Context, key string, out runtime.Object, pre *storage.Preconditions, validate storage.ValidateObjectFunc, cached runtime.Object, opts storage.DeleteOptions) error {
	return s.Interface.Delete(ctx, s.key(ctx, key), out, pre, validate, cached, opts)
}

func (s *sliced) Get(ctx context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	return s.Interface.Get(ctx, s.key(ctx, key), opts, out)
}

func (s *sliced) GetList(ctx context.Context, key string, opts storage.ListOptions, list runtime.Object) error {
	return s.Interface.GetList(ctx, s.key(ctx, key), opts, list)
}

func (s *sliced) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool, pre *storage.Preconditions, update storage.UpdateFunc, cached runtime.Object) error {
	err := s.Interface.GuaranteedUpdate(ctx, s.key(ctx, key), out, ignoreNotFound, pre, update, cached)
	if err == nil && s.changed != nil {
		s.changed(ctx, out)
	}
	return err
}
