# Two versions of the CRDs, and the built-in types.
cp -r crds crds-1.14
cp -r crds crds-1.15
