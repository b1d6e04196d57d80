// Storage of the lab: one instance per node, which makes and removes folders on that node and offers each as a `local`
// volume bound to it. `local` and not hostPath, because only `local` volumes honour fsGroup; so pods need not be root.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const (
	provisionerName = "acpchaos.io/local"
	nodeAnnotation  = "acpchaos.io/node"
)

type provisioner struct {
	node string
	root string
}

// ShouldProvision leaves claims of other nodes to the instances there.
func (p *provisioner) ShouldProvision(_ context.Context, claim *v1.PersistentVolumeClaim) bool {
	return claim.Annotations["volume.kubernetes.io/selected-node"] == p.node
}

// ShouldDelete leaves volumes of other nodes to the instances there.
func (p *provisioner) ShouldDelete(_ context.Context, volume *v1.PersistentVolume) bool {
	return volume.Annotations[nodeAnnotation] == p.node
}

func (p *provisioner) Provision(_ context.Context, o controller.ProvisionOptions) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	if o.SelectedNodeName != p.node {
		return nil, controller.ProvisioningFinished, &controller.IgnoredError{Reason: "the claim is for node " + o.SelectedNodeName}
	}
	path := filepath.Join(p.root, o.PVName)
	if err := os.MkdirAll(path, 0o770); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("make %s on %s: %w", path, p.node, err)
	}
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName, Annotations: map[string]string{nodeAnnotation: p.node}},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			Capacity:                      v1.ResourceList{v1.ResourceStorage: o.PVC.Spec.Resources.Requests[v1.ResourceStorage]},
			PersistentVolumeSource:        v1.PersistentVolumeSource{Local: &v1.LocalVolumeSource{Path: path}},
			NodeAffinity:                  onlyOn(p.node),
		},
	}, controller.ProvisioningFinished, nil
}

func (p *provisioner) Delete(_ context.Context, volume *v1.PersistentVolume) error {
	if volume.Annotations[nodeAnnotation] != p.node {
		return &controller.IgnoredError{Reason: "the volume is on another node"}
	}
	return os.RemoveAll(filepath.Join(p.root, volume.Name))
}

func onlyOn(node string) *v1.VolumeNodeAffinity {
	match := v1.NodeSelectorRequirement{Key: "kubernetes.io/hostname", Operator: v1.NodeSelectorOpIn, Values: []string{node}}
	return &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{
		{MatchExpressions: []v1.NodeSelectorRequirement{match}},
	}}}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	config, err := rest.InClusterConfig()
	if err != nil {
		klog.Fatalf("storage: no service account in this pod: %v", err)
	}
	client := kubernetes.NewForConfigOrDie(config)
	mine := &provisioner{node: os.Getenv("NODE_NAME"), root: os.Getenv("STORAGE_ROOT")}
	// Every node has its own instance, so none of them may wait to be the leader.
	controller.NewProvisionController(ctx, client, provisionerName, mine, controller.LeaderElection(false)).Run(ctx)
}
