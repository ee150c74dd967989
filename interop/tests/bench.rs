//! The benchmark goes through all its motions; what it measures is not looked at.

use std::process::Command;

use interop::run;

#[test]
fn every_tunnel_and_every_handshake_has_a_row() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

    let report = run(Command::new("env").args(["-C", root, env!("CARGO_BIN_EXE_bench"), "--quick"])).unwrap();

    let rows_that_start = |with: &str| report.lines().filter(|line| line.starts_with(with)).count();
    // Two versions, each on one CPU and on all.
    for tunnel in [
        "| plain TCP",
        "| stunnel |",
        "| haproxy, 1 thread |",
        "| tokio-rustls, `copy",
        "| secure-connector `Tunnel` |",
    ] {
        assert_eq!(rows_that_start(tunnel), 4, "{tunnel}\n{report}");
    }
    // Two versions, each with full and with resumed handshakes.
    for client in ["| tokio-rustls | TLS 1.", "| secure-connector | TLS 1."] {
        assert_eq!(rows_that_start(client), 4, "{client}\n{report}");
    }
}
