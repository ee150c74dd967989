# An EFS file system in the guest, and a writer to it that is to notice nothing.
#
# It asks for: #: files ganesha.nfsd libfsalvfs.so /etc/netconfig
#              #: binaries fake-mount-target

FILE_SYSTEM=fs-0123456789abcdef0
export AWS_REGION=us-east-1
export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
PIECES=24 # of 1 MiB

# An NFS server that exports /srv/efs, and before it a mount target that lets IAM clients in. The mount target has the DNS
# name and the port of a real one, and a certificate to be verified with ca.pem.
serve_efs() {
    mkdir -p /srv/efs /tmp/recovery
    # Graceless: else the first open waits 90 s for clients of an earlier run. UseGetpwnam: libnfsidmap wants a DNS domain.
    cat >ganesha.conf <<END
NFS_CORE_PARAM {
    Protocols = 4; NFS_Port = 12049; Bind_addr = 127.0.0.1;
    Enable_UDP = false; Enable_NLM = false; Enable_RQUOTA = false;
}
NFSV4 {
    Graceless = true; RecoveryBackend = fs; RecoveryRoot = /tmp/recovery; Minor_Versions = 1;
    UseGetpwnam = true; DomainName = localdomain;
}
NFS_KRB5 { Active_krb5 = false; }
EXPORT {
    Export_Id = 1; Path = /srv/efs; Pseudo = /;
    Protocols = 4; Transports = TCP; SecType = sys; Squash = None; Access_Type = RW;
    FSAL { Name = VFS; }
}
LOG { Default_Log_Level = EVENT; }
END
    serve 12049 ganesha.nfsd -F -L STDERR -f ganesha.conf -p ganesha.pid
    echo "10.0.0.1 $FILE_SYSTEM.efs.$AWS_REGION.amazonaws.com" >>/etc/hosts
    serve 2049 fake-mount-target $FILE_SYSTEM 10.0.0.1:2049 127.0.0.1:12049 ca.pem
}

# check_mount FOLDER OPTION…: the kernel has mounted it over NFS, with these options.
check_mount() {
    mount=$(grep " $1 .* - nfs4 " /proc/self/mountinfo) || fail "no NFS file system is mounted at $1"
    echo "$mount"
    shift
    for option; do
        case ",${mount##* }," in *",$option,"*) ;; *) fail "the mount lacks the option $option" ;; esac
    done
}

# Copies `original`, which it makes first, to a file below /mnt/efs, in the background. Each piece is with the server before
# the next begins.
start_writing() {
    dd if=/dev/urandom of=original bs=1M count=$PIECES 2>/dev/null
    echo 0 >written
    for piece in $(seq 0 $((PIECES - 1))); do
        dd if=original of=/mnt/efs/file bs=1M count=1 skip=$piece seek=$piece conv=notrunc,fsync 2>dd.log
        echo $((piece + 1)) >written
    done &
    writer=$!
}

# Whether the writer has come so far.
written() { [ "$(cat written)" -ge "$1" ]; }

# Whether the mount target has let in as many connections.
admitted() { [ "$(grep -c ^admitted fake-mount-target.log)" -ge "$1" ]; }

# check_data: what was written is at the server, and is what the mount shows.
check_data() {
    expected=$(sha256sum <original)
    [ "$(sha256sum </srv/efs/file)" = "$expected" ] || fail 'the file at the server is not what was written'
    echo 3 >/proc/sys/vm/drop_caches # To be read from the server anew.
    [ "$(sha256sum </mnt/efs/file)" = "$expected" ] || fail 'the file read through the mount is not what was written'
}

# check_unmounted FOLDER PORT: nothing is left of the mount, in the kernel or on the way.
check_unmounted() {
    ! grep " $1 " /proc/self/mountinfo || fail "something is still mounted at $1"
    ! listening $2 || fail "port $2 is still open"
    # The client's end of a closed connection waits for late packets (RFC 9293 section 3.6.1).
    ! netstat -tn | grep -v TIME_WAIT | grep ":$2 " || fail "a connection to port $2 is left"
}
