//! The Redis servers themselves, without our code: what fails here is no fault of ours.

use interop::{NodeNames, RedisCluster, RedisServer, run};
use std::fs;
use std::process::Command;

const TOKEN: &str = "an-auth-token-0123456789";

#[test]
fn redis_server_speaks_tls_only_and_takes_its_users() {
    let server = RedisServer::builder().password(TOKEN).user("app on >one >two ~app:* +@all").start().unwrap();
    assert_eq!(redis_cli(&server, &["--pass", TOKEN, "PING"]).unwrap(), "PONG\n");
    assert_eq!(redis_cli(&server, &["--user", "app", "--pass", "two", "ACL", "WHOAMI"]).unwrap(), "app\n");
    let error = redis_cli(&server, &["--pass", "wrong", "PING"]).unwrap_err();
    assert!(error.to_string().contains("WRONGPASS"), "{error}");
    assert_eq!(server.admin(&["ACL", "WHOAMI"]).unwrap(), "admin");
    assert!(server.admin(&["NONSENSE"]).is_err_and(|error| error.to_string().contains("unknown command")));
    let port = server.addr().port().to_string();
    let plain = run(Command::new("redis-cli").args(["-p", &port, "PING"])).unwrap_err();
    assert!(plain.to_string().contains("Connection reset by peer") || plain.to_string().contains("closed"), "{plain}");

    let next = server.pki().leaf().dns("localhost").issue().unwrap();
    server.replace_certificate(&next).unwrap();
    assert_eq!(redis_cli(&server, &["--pass", TOKEN, "PING"]).unwrap(), "PONG\n");
}

#[test]
fn a_cluster_takes_keys_and_a_replica_takes_over() {
    let mut cluster = RedisCluster::start(TOKEN, 1, NodeNames::HostNames).unwrap();
    assert_eq!(cluster.addrs().len(), 6);
    assert!(cluster.admin(0, &["CLUSTER", "SLOTS"]).unwrap().contains("localhost"));
    // Slot 12182: of the third primary, whose replica is the sixth node.
    assert_eq!(cluster.admin(2, &["SET", "foo", "1"]).unwrap(), "OK");
    assert_eq!(cluster.admin(2, &["WAIT", "1", "10000"]).unwrap(), "1");
    cluster.fail_over_to(5).unwrap();
    assert!(cluster.admin(5, &["ROLE"]).unwrap().starts_with("master"));
    cluster.kill(5).unwrap();
    cluster.wait_for(2, &["ROLE"], "master").unwrap();
    cluster.wait_for(2, &["CLUSTER", "INFO"], "cluster_state:ok").unwrap();
    assert_eq!(cluster.admin(2, &["GET", "foo"]).unwrap(), "1");
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn servers_of_other_versions_speak_tls_by_stunnel() {
    use interop::RedisProgram::{Redis5, Redis6, Valkey9};
    for (program, version) in [(Redis5, "5.0.6"), (Redis6, "6.0.9"), (Valkey9, "9.1.2")] {
        let server = RedisServer::builder().program(program).password(TOKEN).start().unwrap();
        let info = redis_cli(&server, &["--pass", TOKEN, "INFO", "server"]).unwrap();
        assert!(info.contains(&format!("_version:{version}")), "{info}");
        assert!(server.admin(&["INFO", "server"]).unwrap().contains(version));
    }
}

/// Over TLS, with the name in the certificate checked.
fn redis_cli(server: &RedisServer, arguments: &[&str]) -> std::io::Result<String> {
    let dir = tempfile::tempdir()?;
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, server.pki().root_pem())?;
    let port = server.addr().port().to_string();
    let mut cli = Command::new("redis-cli");
    cli.args(["-e", "--no-auth-warning", "--tls", "--sni", "localhost", "-h", "127.0.0.1", "-p", &port, "--cacert"]);
    run(cli.arg(ca).args(arguments))
}
