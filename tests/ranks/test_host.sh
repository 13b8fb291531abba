#!/usr/bin/env bash
# What mpirun runs instead of ssh: test_host.sh [-OPTION...] HOST COMMAND... runs COMMAND in the network namespace HOST, under
# that host name.
while [[ $1 == -* ]]; do shift; done
host=$1
shift
exec ip netns exec "$host" unshare --uts bash -c "hostname $host && $*"
