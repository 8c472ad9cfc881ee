"""How a cluster in pull mode becomes a member, as pure functions: who may have a certificate, and when it is renewed.

`asking` is what a CertificateSigningRequest asks for, `approval` decides on it, `grants` is what an accepted agent may
do at the hub, `invitations` are bootstrap tokens, `heartbeats` says what a Lease shows. `certificates` alone imports
cryptography, which takes 16 MB: import it where it is used. Forms and rules are Open Cluster Management's
(cluster.open-cluster-management.io), so that its agent registers here, and ours at its hub.
"""
