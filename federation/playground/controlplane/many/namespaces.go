package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/controller/namespace/deletion"
)

// atOnce is how many members' namespaces are created, and how many namespaces are emptied, at the same time.
const atOnce = 16

// lasting are the namespaces that cannot be deleted, as in upstream's admission.
var lasting = []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic}

// makeNamespaces creates in every member the namespaces that kube-apiserver creates for itself, and continues with the
// removal of those that were being deleted when the server ended.
func (m *members) makeNamespaces(ctx context.Context, ports map[string]int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for member := range ports {
		group.Go(func() error {
			own := withMember(ctx, member)
			for _, name := range append(lasting, corev1.NamespaceNodeLease) {
				namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
				_, err := m.client.CoreV1().Namespaces().Create(own, namespace, metav1.CreateOptions{})
				if err != nil && !apierrors.IsAlreadyExists(err) {
					return fmt.Errorf("namespace %s of member %s: %w", name, member, err)
				}
			}
			found, err := m.client.CoreV1().Namespaces().List(own, metav1.ListOptions{})
			if err != nil {
				return fmt.Errorf("namespaces of member %s: %w", member, err)
			}
			for _, namespace := range found.Items {
				m.changed(own, &core.Namespace{ObjectMeta: namespace.ObjectMeta})
			}
			return nil
		})
	}
	return group.Wait()
}

// Handles and Validate make members an admission plugin: NamespaceLifecycle, for each member.
func (m *members) Handles(operation admission.Operation) bool {
	return operation == admission.Create || operation == admission.Delete
}

func (m *members) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	isNamespace := a.GetKind().GroupKind() == core.Kind("Namespace")
	if memberOf(ctx) == root {
		return nil
	}
	if isNamespace && a.GetOperation() == admission.Delete && slices.Contains(lasting, a.GetName()) {
		return apierrors.NewForbidden(a.GetResource().GroupResource(), a.GetName(), errors.New("this namespace may not be deleted"))
	}
	if isNamespace || a.GetNamespace() == "" || a.GetOperation() != admission.Create {
		return nil
	}
	namespace, err := m.client.CoreV1().Namespaces().Get(ctx, a.GetNamespace(), metav1.GetOptions{})
	if err != nil || namespace.Status.Phase != corev1.NamespaceTerminating {
		return err
	}
	refusal := admission.NewForbidden(a, fmt.Errorf("unable to create new content in namespace %s because it is being terminated", a.GetNamespace()))
	var status *apierrors.StatusError
	if errors.As(refusal, &status) {
		status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{
			Type: corev1.NamespaceTerminatingCause, Message: fmt.Sprintf("namespace %s is being terminated", a.GetNamespace()), Field: "metadata.namespace",
		})
	}
	return refusal
}

// -- the removal of namespaces, the one task of kube-controller-manager that federation waits for --

type ending struct{ member, namespace string }

type endingQueue = workqueue.TypedRateLimitingInterface[ending]

func newEndingQueue() endingQueue {
	return workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[ending](100*time.Millisecond, 10*time.Second))
}

// changed is called for every namespace that is written.
func (m *members) changed(ctx context.Context, written runtime.Object) {
	namespace, ok := written.(*core.Namespace)
	if ok && namespace.DeletionTimestamp != nil && memberOf(ctx) != root {
		m.ending.Add(ending{memberOf(ctx), namespace.Name})
	}
}

// endNamespaces starts the workers that empty deleted namespaces and remove their finalizer, by upstream's code.
func (m *members) endNamespaces(ctx context.Context) {
	deleter := deletion.NewNamespacedResourcesDeleter(ctx, m.client.CoreV1().Namespaces(), m.objects, m.client.CoreV1(), m.client.Discovery().ServerPreferredNamespacedResources, corev1.FinalizerKubernetes)
	for range atOnce {
		go func() {
			for {
				next, down := m.ending.Get()
				if down {
					return
				}
				if err := deleter.Delete(withMember(ctx, next.member), next.namespace); err != nil {
					klog.V(2).Infof("member %s: namespace %s: %v", next.member, next.namespace, err)
					m.ending.AddRateLimited(next)
				} else {
					m.ending.Forget(next)
				}
				m.ending.Done(next)
			}
		}()
	}
}
