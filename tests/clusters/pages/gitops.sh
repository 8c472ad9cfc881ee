# What one cluster serves, beside the repository.
mkdir -p ../paris
cp -r crds ../paris/crds
