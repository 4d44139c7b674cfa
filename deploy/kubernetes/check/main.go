// Check builds the kustomization and decodes every object strictly into the official types: a field
// that does not exist, or a value of the wrong type, is an error.
//
//	cd deploy/kubernetes/check && go run . ..
package main

import (
	"fmt"
	"os"

	"k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: check FOLDER"))
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		v1.AddToScheme, autoscaling.AddToScheme, batch.AddToScheme,
		core.AddToScheme, networking.AddToScheme, policy.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			fail(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), os.Args[1])
	if err != nil {
		fail(err)
	}
	for _, resource := range built.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			fail(err)
		}
		if _, _, err := decoder.Decode(text, nil, nil); err != nil {
			fail(fmt.Errorf("%s %s: %w", resource.GetKind(), resource.GetName(), err))
		}
		fmt.Printf("%s %s\n", resource.GetKind(), resource.GetName())
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}
