//! The peers themselves, against each other and without our code: what fails here is no fault of ours.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use interop::{Daemon, Ganesha, Libnfs, PemFiles, haproxy, plain, s_client, s_server, stunnel};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const MIB: usize = 1 << 20;
const NAME: &str = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";

#[test]
fn ganesha_stores_and_returns_64_mib_over_nfsv4() {
    let ganesha = Ganesha::start().unwrap();
    let client = Libnfs::new(ganesha.addr()).unwrap();
    let dir = TempDir::new().unwrap();
    let (original, copy) = (dir.path().join("original"), dir.path().join("copy"));
    fs::write(&original, noise(64 * MIB)).unwrap();

    client.put(&original, "file").unwrap();
    assert_eq!(sha256(&ganesha.export().join("file")), sha256(&original));

    client.get("file", &copy).unwrap();
    assert_eq!(sha256(&copy), sha256(&original));
    let listed = client.list().unwrap();
    assert!(listed.contains(" 67108864 file\n"), "{listed}");
}

#[test]
fn libnfs_names_the_missing_file() {
    let ganesha = Ganesha::start().unwrap();
    let dir = TempDir::new().unwrap();

    let error = Libnfs::new(ganesha.addr()).unwrap().get("missing", &dir.path().join("copy")).unwrap_err();

    assert!(error.to_string().contains("NFS4ERR_NOENT"), "{error}");
}

#[test]
fn stunnel_client_and_server_carry_bytes_both_ways() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = stunnel_server(&pem, "");
    let client = stunnel_client(&pem, &format!("connect = {}\ncheckHost = {NAME}", server.addr()));

    let sent = noise(4 * MIB);
    assert!(exchange(&client, &sent) == sent, "the echo differs");
}

#[test]
fn stunnel_client_refuses_another_name() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = stunnel_server(&pem, "");
    let client = stunnel_client(&pem, &format!("connect = {}\ncheckHost = other.example", server.addr()));

    let mut stream = TcpStream::connect(client.addr()).unwrap();
    let mut answer = Vec::new();
    // A reset or an end, as it likes; no byte of the backend either way.
    stream.read_to_end(&mut answer).ok();

    assert_eq!(answer, b"");
    client.wait_for_log("CERT: Subject checks failed").unwrap();
}

#[test]
fn stunnel_server_asks_for_a_client_certificate() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = stunnel_server(&pem, &format!("CAfile = {}\nverifyChain = yes", pem.ca()));
    let connect = format!("connect = {}\ncheckHost = {NAME}", server.addr());

    let with = stunnel_client(&pem, &format!("{connect}\ncert = {}\nkey = {}", pem.client_cert(), pem.client_key()));
    assert_eq!(exchange(&with, b"ping"), b"ping");

    let without = stunnel_client(&pem, &connect);
    let mut stream = TcpStream::connect(without.addr()).unwrap();
    let mut answer = Vec::new();
    stream.write_all(b"ping").ok();
    stream.read_to_end(&mut answer).ok();
    assert_eq!(answer, b"");
    server.wait_for_log("peer did not return a certificate").unwrap();
}

#[test]
fn openssl_client_and_server_agree_on_tls_1_2_and_1_3() {
    let pem = PemFiles::new(NAME).unwrap();
    for (version, printed) in [("-tls1_2", "Protocol version: TLSv1.2"), ("-tls1_3", "Protocol version: TLSv1.3")] {
        let server = s_server(&["-rev", version, "-cert", &pem.server_cert(), "-key", &pem.server_key()]).unwrap();
        let options = ["-brief", "-verify_return_error", "-CAfile", &pem.ca(), "-verify_hostname"];

        let said = s_client(server.addr(), &[&options[..], &[NAME]].concat(), "hello\nCLOSE\n").unwrap();
        assert!(said.contains(printed) && said.contains("Verification: OK") && said.contains("olleh"), "{said}");

        let refused =
            s_client(server.addr(), &[&options[..], &["other.example"]].concat(), "hello\nCLOSE\n").unwrap_err();
        assert!(refused.to_string().contains("hostname mismatch"), "{refused}");
    }
}

#[test]
fn haproxy_puts_tls_around_plain_bytes() {
    let pem = PemFiles::new(NAME).unwrap();
    let server = stunnel_server(&pem, "");
    let ca = pem.ca();
    let proxy = haproxy(&format!("{} ssl verify required ca-file {ca} verifyhost {NAME}", server.addr())).unwrap();

    let sent = noise(MIB);
    assert!(exchange(&proxy, &sent) == sent, "the echo differs");
}

#[test]
fn plain_servers_count_and_produce() {
    let mut sink = TcpStream::connect(plain::sink().unwrap()).unwrap();
    sink.write_all(&[7; 1000]).unwrap();
    sink.shutdown(Shutdown::Write).unwrap();
    let mut count = Vec::new();
    sink.read_to_end(&mut count).unwrap();
    assert_eq!(count, 1000_u64.to_be_bytes());

    let mut bytes = Vec::new();
    TcpStream::connect(plain::source(3).unwrap()).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, [0; 3]);
}

#[test]
fn a_peer_that_cannot_start_says_why() {
    let error = stunnel("client = yes\nno-such-option = 1").unwrap_err();
    assert!(error.to_string().contains("\"no-such-option = 1\": Specified option name is not valid here"), "{error}");
}

/// Sends the bytes to an echo server behind the proxy and returns what comes back. Does not end its half before: stunnel, when
/// busy, now and then loses what is still on its way back then.
fn exchange(proxy: &Daemon, bytes: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(proxy.addr()).unwrap();
    let mut answer = vec![0; bytes.len()];
    std::thread::scope(|scope| {
        scope.spawn(|| (&stream).write_all(bytes).unwrap());
        (&stream).read_exact(&mut answer).unwrap();
    });
    answer
}

/// Bytes that no compression or block repetition makes equal by chance; the same on every run.
fn noise(len: usize) -> Vec<u8> {
    let blocks = (0_u64..).flat_map(|n| Sha256::digest(n.to_be_bytes()));
    blocks.take(len).collect()
}

fn sha256(file: &Path) -> String {
    hex::encode(Sha256::digest(fs::read(file).unwrap()))
}

/// TLS in front of an echo server.
fn stunnel_server(pem: &PemFiles, more: &str) -> Daemon {
    let echo = plain::echo().unwrap();
    stunnel(&format!("cert = {}\nkey = {}\nconnect = {echo}\n{more}", pem.server_cert(), pem.server_key())).unwrap()
}

fn stunnel_client(pem: &PemFiles, more: &str) -> Daemon {
    stunnel(&format!("client = yes\nCAfile = {}\nverifyChain = yes\n{more}", pem.ca())).unwrap()
}
