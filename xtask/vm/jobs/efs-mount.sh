# `mount -t efs` with efs-mount as its helper: a refusal, two mounts of one file system, a supervisor that is killed while
# they are written to, and the end of everything after the last unmount.
#
#: modules  nfsv4
#: files    ganesha.nfsd libfsalvfs.so /etc/netconfig
#: files    mount mount.nfs4 timeout umount
#: files    /etc/ssl/certs/ca-certificates.crt
#: binaries fake-mount-target efs-mount
#: memory   1024
#: limit    240

. /job/functions.sh
. /job/efs.sh

mount_efs() { timeout 60 mount -t efs -o "$1,cafile=/tmp/ca.pem" $FILE_SYSTEM:/ "$2"; }
supervisor() { pidof efs-mount; }
# Whether the kernel reads fifteen times rsize ahead of a reader, as the EFS mount helper sets it.
reads_ahead() {
    device=$(awk -v folder="$1" '$5 == folder { print $3 }' /proc/self/mountinfo)
    [ "$(cat "/sys/class/bdi/$device/read_ahead_kb")" = 15360 ]
}

step 'an NFS server, and a mount target before it'
serve_efs
ln -s ../bin/efs-mount /usr/sbin/mount.efs
ln -s /run/efs-mount/supervisor.log first-supervisor.log
mkdir -p /etc/amazon/efs /mnt/efs /mnt/again
printf '[mount-watchdog]\nunmount_grace_period_sec = 2\n' >/etc/amazon/efs/efs-utils.conf

step 'mount -t efs without iam'
status=0
mount_efs tls /mnt/efs 2>refused.log || status=$?
cat refused.log
[ $status = 32 ] || fail "exit status $status, not 32: mount failure"
grep -q 'NFS4ERR_ACCESS' refused.log || fail 'it does not say that access is denied'
! grep /mnt/efs /proc/self/mountinfo || fail 'it is mounted nevertheless'

step 'mount -t efs -o tls,iam, twice'
mount_efs tls,iam /mnt/efs
mount_efs tls,iam,ro /mnt/again
efs-mount status
grep " /mnt/efs .* - nfs4 " /proc/self/mountinfo >mounted
PORT=$(sed -n 's/.*,port=\([0-9]*\).*/\1/p' mounted)
for folder in /mnt/efs /mnt/again; do
    check_mount $folder vers=4.1 rsize=1048576 wsize=1048576 hard noresvport timeo=600 "port=$PORT" addr=127.0.0.1
    wait_for 10 reads_ahead $folder
done

step "write $PIECES MiB"
start_writing
wait_for 60 written $((PIECES / 4))
killed=$(supervisor)
kill -9 $killed
wait_for 10 not running "$killed"
before=$(cat written)
step "the supervisor was killed after $before MiB; another"
efs-mount supervise >second-supervisor.log 2>&1 &
wait_for 60 listening "$PORT"
! written $PIECES || fail 'all was written before the tunnel was back: nothing was interrupted'
step 'does the writer go on?'
wait_for 60 written $((before + 2))
wait $writer || fail "the writer ended with exit status $?"
efs-mount status

step 'is the data whole?'
check_data
[ "$(sha256sum </mnt/again/file)" = "$(sha256sum <original)" ] || fail 'the other mount shows something else'

step 'unmount both'
umount /mnt/again
umount /mnt/efs
wait_for 20 not listening "$PORT"
check_unmounted /mnt/efs "$PORT"
check_unmounted /mnt/again "$PORT"
[ -z "$(efs-mount status)" ] || fail "the supervisor still holds: $(efs-mount status)"
kill "$(supervisor)"
wait_for 10 not supervisor
