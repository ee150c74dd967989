//! `efs-mount supervise`, asked over its socket as the mount helper asks, in front of fake mount targets; and what the mount
//! helper refuses.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[path = "efs_mount/supervisor.rs"]
mod supervisor;

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    process::Command,
};

use secure_connector_testkit::{
    TestPki,
    efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey},
    nfs::{HelloOutcome, nfs_hello},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use self::supervisor::{ServiceManager, Supervisor};

const FILE_SYSTEM: &str = "fs-0123456789abcdef0";

/// A mount target on NFS's own port, as `mounttargetip` dials it, of a loopback address that nobody else has.
async fn mount_target(rules: AdmissionRules, pki: &TestPki) -> FakeMountTarget {
    loop {
        let [a, b, c] = [fastrand::u8(1..250), fastrand::u8(1..250), fastrand::u8(1..250)];
        let address = SocketAddr::from((Ipv4Addr::new(127, a, b, c), 2049));
        match FakeMountTarget::builder(rules.clone()).listen(address).start(pki).await {
            Ok(target) => return target,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn rules() -> AdmissionRules {
    AdmissionRules::new(FILE_SYSTEM, "us-east-1")
}

async fn hello(port: u64) -> io::Result<HelloOutcome> {
    nfs_hello(&mut TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).await?).await
}

#[track_caller]
fn admitted(outcome: io::Result<HelloOutcome>) {
    assert!(matches!(outcome, Ok(HelloOutcome::Admitted { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_with_equal_tunnels_share_one_and_others_do_not() {
    let pki = TestPki::new().unwrap();
    let target = mount_target(rules(), &pki).await;
    let supervisor = Supervisor::start(&pki, "").await;
    let one = supervisor.tunnel_to(&target);

    let (lease, port) = supervisor.held(&one).await;
    admitted(hello(port).await);
    let (_same, same_port) = supervisor.held(&one).await;
    assert_eq!(same_port, port);
    let mut through_access_point = one.clone();
    through_access_point["access_point"] = json!("fsap-0123456789abcdef0");
    let (_other, other_port) = supervisor.held(&through_access_point).await;
    assert_ne!(other_port, port);
    let (_alone, alone_port) = supervisor.held_with(&one, None, Some("/mnt/alone")).await;
    assert!(![port, other_port].contains(&alone_port));
    let (_again, again_port) = supervisor.held_with(&one, Some(port), None).await;
    assert_eq!(again_port, port);

    let refused = supervisor.refused(&through_access_point, Some(port)).await;
    let expected = format!(
        "port {port} is that of a tunnel to {FILE_SYSTEM}.efs.us-east-1.amazonaws.com: give another tlsport, or leave it out \
         to share a tunnel"
    );
    assert_eq!(refused, expected);

    drop(lease);
    supervisor.until(|tunnels| tunnels.iter().all(|tunnel| tunnel["status"]["health"]["kind"] == "admitted")).await;
    let dir = supervisor.dir().to_str().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_efs-mount")).args(["status", "--state-dir", dir]).output().unwrap();
    let text = String::from_utf8(status.stdout).unwrap();
    let expected = format!(
        "127.0.0.1:{other_port} to {FILE_SYSTEM}.efs.us-east-1.amazonaws.com through fsap-0123456789abcdef0\n  being mounted\n  \
         connections: 0, bytes up: 0, down: 0\n  certificate until 2"
    );
    assert!(text.contains(&expected), "{text}");
    assert_eq!(text.matches("  health: admitted").count(), 3, "{text}");
    let tunnels = supervisor.status().await;
    assert_eq!(tunnels.len(), 3);
    let ours = tunnels.iter().find(|tunnel| tunnel["port"] == port).unwrap();
    assert_eq!(ours["tunnel"], one);
    assert_eq!(ours["status"]["renewal"]["failures"], 0);
    assert!(ours["leases"].as_u64().unwrap() >= 2, "{ours}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_is_not_let_in_is_told_why_and_leaves_no_tunnel() {
    let pki = TestPki::new().unwrap();
    let target = mount_target(rules().admission(Admission::IamOnly), &pki).await;
    let supervisor = Supervisor::start(&pki, "").await;
    let tunnel = supervisor.tunnel_to(&target);
    let refused = supervisor.refused(&tunnel, None).await;
    assert!(refused.starts_with("denied: "), "{refused}");
    assert!(refused.contains("elasticfilesystem:ClientMount"), "{refused}");
    assert_eq!(supervisor.status().await, Vec::<Value>::new());

    // The same, asked by the mount helper.
    let dir = supervisor.dir().display().to_string();
    let options = format!("rw,tls,region=us-east-1,mounttargetip={},cafile={dir}/ca.pem", target.addr().ip());
    let arguments =
        ["fs-0123456789abcdef0:/", "/mnt/efs", "-o", &options, "--state-dir", &dir, "--config", "/dev/null"];
    let told = refused.lines().next().unwrap();
    let told = if rustix::process::geteuid().is_root() { told } else { "only root can mount: run it as root" };
    let (code, error) = run(&arguments);
    assert_eq!((code, error.lines().next()), (Some(32), Some(format!("efs-mount: {told}").as_str())));

    let mut without_our_ca = tunnel.clone();
    without_our_ca["ca_file"] = Value::Null;
    let refused = supervisor.refused(&without_our_ca, None).await;
    assert!(refused.starts_with("the peer's certificate is not trusted: unknown CA "), "{refused}");
    without_our_ca["ca_file"] = json!("/nowhere/ca.pem");
    let refused = supervisor.refused(&without_our_ca, None).await;
    assert!(refused.starts_with("the CA file /nowhere/ca.pem: "), "{refused}");
    assert_eq!(supervisor.status().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mount_has_the_credentials_of_its_own_profile() {
    let pki = TestPki::new().unwrap();
    let key = |id: &str, secret: &str| KnownKey::new(id, secret, "arn:aws:iam::123456789012:user/app");
    let rules = rules().key(key("AKIAIOSFODNN7EXAMPL1", "one")).key(key("AKIAIOSFODNN7EXAMPL2", "two"));
    let target = mount_target(rules.admission(Admission::IamOnly), &pki).await;
    let supervisor = Supervisor::start(&pki, "").await;
    let mut ports = Vec::new();
    for (profile, id) in [("one", "AKIAIOSFODNN7EXAMPL1"), ("two", "AKIAIOSFODNN7EXAMPL2")] {
        let mut tunnel = supervisor.tunnel_to(&target);
        tunnel["credentials"] = json!({ "profile": profile });
        let (lease, port) = supervisor.held(&tunnel).await;
        admitted(hello(port).await);
        ports.push((lease, port, id));
    }
    for tunnel in supervisor.status().await {
        let (.., id) = ports.iter().find(|(_, port, _)| tunnel["port"] == *port).unwrap();
        assert_eq!(tunnel["status"]["renewal"]["access_key_id"], *id);
    }
    let state = fs::read_to_string(supervisor.dir().join("state.json")).unwrap();
    assert!(state.contains("\"profile\": \"two\"") && !state.contains("AKIA"), "{state}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_outlive_the_supervisor() {
    let pki = TestPki::new().unwrap();
    let target = mount_target(rules(), &pki).await;
    let mut supervisor = Supervisor::start(&pki, "").await;
    let tunnel = supervisor.tunnel_to(&target);
    let (lease, port) = supervisor.held(&tunnel).await;
    let mut nfs = TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).await.unwrap();
    admitted(nfs_hello(&mut nfs).await);

    supervisor.kill();
    nfs_hello(&mut nfs).await.unwrap_err();
    assert_eq!(hello(port).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let state = fs::metadata(supervisor.dir().join("state.json")).unwrap();
    assert_eq!(state.permissions().mode() & 0o777, 0o600);

    supervisor.restart().await;
    admitted(hello(port).await);
    drop(lease);
    let (_lease, same_port) = supervisor.held(&tunnel).await;
    assert_eq!(same_port, port);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_tunnel_that_cannot_run_keeps_its_port_and_is_tried_again() {
    let pki = TestPki::new().unwrap();
    let target = mount_target(rules(), &pki).await;
    let mut supervisor = Supervisor::start(&pki, "").await;
    let (_lease, port) = supervisor.held(&supervisor.tunnel_to(&target)).await;
    supervisor.kill();
    let (here, away) = (supervisor.dir().join("ca.pem"), supervisor.dir().join("away.pem"));
    fs::rename(&here, &away).unwrap();
    supervisor.restart().await;
    let tunnels = supervisor.status().await;
    let error = tunnels[0]["error"].as_str().unwrap();
    assert!(error.starts_with(&format!("the CA file {}: ", here.display())), "{error}");
    assert_eq!((&tunnels[0]["port"], &tunnels[0]["status"]), (&json!(port), &Value::Null));

    let mut waiting = TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).await.unwrap();
    fs::rename(&away, &here).unwrap();
    supervisor.until(|tunnels| tunnels[0]["error"].is_null()).await;
    admitted(nfs_hello(&mut waiting).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_wait_while_the_service_manager_keeps_the_listener() {
    let pki = TestPki::new().unwrap();
    let target = mount_target(rules(), &pki).await;
    let manager = ServiceManager::new();
    let mut supervisor = Supervisor::start_by(&pki, "", Some(&manager)).await;
    assert_eq!(manager.next().await.0, "READY=1");
    let (_lease, port) = supervisor.held(&supervisor.tunnel_to(&target)).await;
    let (state, kept) = manager.next().await;
    assert_eq!(state, format!("FDSTORE=1\nFDNAME=tunnel-{port}"));

    supervisor.kill();
    let mut waiting = TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).await.unwrap();
    supervisor.restart_with(&manager, kept.unwrap()).await;
    admitted(nfs_hello(&mut waiting).await);
    assert_eq!(manager.next().await.0, "READY=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_ends_with_its_last_mount_lease_and_connection() {
    let pki = TestPki::new().unwrap();
    let target = mount_target(rules(), &pki).await;
    let supervisor = Supervisor::start(&pki, "[mount-watchdog]\nunmount_grace_period_sec = 0\n").await;
    let (lease, port) = supervisor.held(&supervisor.tunnel_to(&target)).await;
    let mut nfs = TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).await.unwrap();
    admitted(nfs_hello(&mut nfs).await);
    drop(lease);
    supervisor.until(|tunnels| tunnels[0]["leases"] == 0).await;
    // What ends the second tunnel leaves the first one, for its connection.
    let (second, second_port) = supervisor.held_with(&supervisor.tunnel_to(&target), None, Some("/mnt/second")).await;
    drop(second);
    supervisor.until(|tunnels| tunnels.iter().all(|tunnel| tunnel["port"] != second_port)).await;
    admitted(nfs_hello(&mut nfs).await);
    drop(nfs);
    supervisor.until(|tunnels| tunnels.is_empty()).await;
    assert_eq!(hello(port).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let state: Value = serde_json::from_slice(&fs::read(supervisor.dir().join("state.json")).unwrap()).unwrap();
    assert_eq!(state["tunnels"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_refused_and_the_supervisor_stays() {
    let pki = TestPki::new().unwrap();
    let target = mount_target(rules(), &pki).await;
    let supervisor = Supervisor::start(&pki, "").await;
    for garbage in ["\n", "{}\n", "\"stop\"\n", "GET / HTTP/1.1\r\n\r\n"] {
        let reply = supervisor.say(garbage).await;
        let error = reply["refused"]["error"].as_str().unwrap();
        assert!(error.starts_with("not a request of this version: "), "{error}");
    }
    let elsewhere = json!({ "hold": {
        "tunnel": supervisor.tunnel_to(&target), "port": null, "only_for": null, "network": "net:[1]",
    }});
    let reply = supervisor.say(&format!("{elsewhere}\n")).await;
    let error = reply["refused"]["error"].as_str().unwrap();
    assert!(error.starts_with("the mount is in the network namespace net:[1], and the supervisor in net:["), "{error}");
    assert_eq!(supervisor.status().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_supervisor_runs_in_a_directory_that_is_its_own() {
    let pki = TestPki::new().unwrap();
    let supervisor = Supervisor::start(&pki, "").await;
    let dir = supervisor.dir().display().to_string();
    let second = run(&["supervise", "--state-dir", &dir, "--config", "/dev/null"]);
    assert_eq!(
        second,
        (Some(32), format!("efs-mount: a supervisor runs already in {dir}: ask it by the command status\n"))
    );

    let open = tempfile::tempdir().unwrap();
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (code, error) = run(&["supervise", "--state-dir", open.path().to_str().unwrap()]);
    assert_eq!(code, Some(32));
    assert!(error.contains("writable by nobody else, found user") && error.contains("mode 777"), "{error}");
}

#[test]
fn the_mount_helper_refuses_before_it_asks_anybody() {
    let source = "fs-0123456789abcdef0:/";
    for (options, error) in [
        ("iam", "the options of -o: the mount option iam needs tls: add tls, or leave out iam"),
        (
            "tls,ocsp",
            "the options of -o: the mount option ocsp is not supported: no OCSP responder is asked; leave it out, or write \
             noocsp",
        ),
        (
            "tls",
            "the mount that is asked for: the region of the file system is unknown: add region=…, set AWS_REGION, or write \
             region to [mount] of the configuration file",
        ),
    ] {
        let (code, found) = run(&[source, "/mnt/efs", "-o", options, "--state-dir", "/nowhere/efs-mount"]);
        assert_eq!((code, found.lines().last()), (Some(32), Some(format!("efs-mount: {error}").as_str())));
    }
    for unusable in [vec![source, "/mnt/efs"], vec!["fs-1:/", "/mnt/efs", "-o", "tls"], vec!["status", "now"]] {
        assert_eq!(run(&unusable).0, Some(2), "{unusable:?}");
    }
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(config.path(), "[mount]\nstunnel_check_cert_hostname = false\n").unwrap();
    let path = config.path().to_str().unwrap();
    let (code, error) = run(&[source, "/mnt/efs", "-o", "tls,region=us-east-1", "--config", path]);
    assert_eq!(code, Some(32));
    assert!(error.contains("stunnel_check_cert_hostname = false is not supported"), "{error}");
}

#[test]
fn a_link_named_mount_efs_takes_no_commands() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("mount.efs");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_efs-mount"), &link).unwrap();
    let output = Command::new(&link).args(["status", "/mnt/efs", "-o", "tls"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("expected a file system by its id"), "{error}");
}

/// Exit code and standard error; 124 if it does not end.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new("timeout")
        .args(["30", env!("CARGO_BIN_EXE_efs-mount")])
        .args(arguments)
        .env_remove("AWS_REGION")
        .env_remove("AWS_DEFAULT_REGION")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}
