# The kernel's NFS client mounts a file system through efs-tunnel and writes to it. The tunnel is killed and started again
# meanwhile: the kernel connects anew, sends again what had no answer, and nothing is lost.
#
#: modules  nfsv4
#: files    ganesha.nfsd libfsalvfs.so /etc/netconfig
#: files    mount mount.nfs4 timeout umount
#: files    /etc/ssl/certs/ca-certificates.crt
#: binaries fake-mount-target efs-tunnel
#: memory   1024
#: limit    240

. /job/functions.sh
. /job/efs.sh
PORT=20049

start_tunnel() {
    serve $PORT efs-tunnel $FILE_SYSTEM --port $PORT --ca-file ca.pem --mount-point /mnt/efs
    tunnel=$server
}

step 'an NFS server, and a mount target before it'
serve_efs

step 'a tunnel'
start_tunnel

step 'mount by the command that efs-tunnel prints'
mkdir /mnt/efs
timeout 60 sh -xc "$(head -n 1 efs-tunnel.log)" || fail "it ended with exit status $?"
check_mount /mnt/efs vers=4.1 rsize=1048576 wsize=1048576 hard noresvport timeo=600 port=$PORT addr=127.0.0.1

step "write $PIECES MiB"
start_writing
wait_for 60 written $((PIECES / 4))
kill -9 $tunnel
wait $tunnel || true
before=$(cat written)
step "the tunnel was killed after $before MiB; another"
start_tunnel
! written $PIECES || fail 'all was written before the tunnel was back: nothing was interrupted'
step 'does the writer go on?'
wait_for 60 written $((before + 2))
wait $writer || fail "the writer ended with exit status $?"
admitted 2 || fail 'the mount target did not see a connection of each tunnel'

step 'is the data whole?'
check_data

step 'unmount, end the tunnel'
umount /mnt/efs
kill $tunnel
wait $tunnel || fail "efs-tunnel ended with exit status $?"
check_unmounted /mnt/efs $PORT
tail -n 1 efs-tunnel.log
