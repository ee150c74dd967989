//! From the text to settings: accepted beside refused, each refusal with its line.

use std::{path::Path, time::Duration};

use efs_tls::{StunnelConfig, StunnelError, StunnelForeground, StunnelImport, StunnelTarget, StunnelWarning};
use proptest::prelude::*;
use secure_connector::{Sni, Stage, TlsVersion};
use tracing::level_filters::LevelFilter;

use super::{SERVICE, read, refusal, warnings};

/// Every option of the recipes that people followed before there was a mount helper, and since.
const RECIPE: &str = "\u{feff}; stunnel.conf for Amazon EFS
# with more than one of what may come more than once
fips = no
foreground = quiet
socket = l:SO_REUSEADDR=yes
socket = a:SO_BINDTODEVICE=lo
socket = a:SO_REUSEADDR=no
socket = r:SO_KEEPALIVE=no
socket = l:TCP_NODELAY=1
pid = /var/run/stunnel.pid
output = /var/log/stunnel.log
debug = daemon.warning
syslog = no
options = NO_SSLv2
options = NO_SSLv3

[efs]
  CLIENT = Yes
  accept=127.0.0.1:20049
  connect = fs-0123456789abcdef0.efs.us-east-1.amazonaws.com:2049
  connect = 10.0.0.9:2049
  connect = 2001:db8::9:2049
  connect = [2001:db8::a]:2049
  failover = prio
  retry = no
  delay = yes
  sslVersion = TLSv1.3
  renegotiation = no
  TIMEOUTconnect = 7
  TIMEOUTbusy = 20
  TIMEOUTidle = 70
  verifyChain = yes
  verifyPeer = no
  requireCert = yes
  OCSPaia = no
  libwrap = no
  CAfile = /etc/amazon/efs/efs-utils.crt
  cert = /etc/efs/client.pem
  key = /etc/efs/client.key
  checkHost = fs-0123456789abcdef0.efs.us-east-1.amazonaws.com
  checkHost = *.example
  checkIP = 10.0.0.9
  sni = efs.example
";

#[test]
fn a_recipe_with_everything_is_taken_over() {
    let config = read(&RECIPE.replace("  checkHost = *.example\n", ""));
    assert_eq!(config.foreground(), StunnelForeground::Quiet);
    assert_eq!(config.pid_file(), Some(Path::new("/var/run/stunnel.pid")));
    assert_eq!(config.output(), Some(Path::new("/var/log/stunnel.log")));
    assert_eq!(config.log_level(), LevelFilter::WARN);
    assert_eq!(warnings(&config), [""; 0]);

    let [efs] = config.services() else { panic!("{config:?}") };
    assert_eq!((efs.name(), efs.accept().to_string().as_str(), efs.device()), ("efs", "127.0.0.1:20049", Some("lo")));
    let targets: Vec<_> = efs.targets().iter().map(ToString::to_string).collect();
    let name = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";
    assert_eq!(targets, [&format!("{name}:2049"), "10.0.0.9:2049", "[2001:db8::9]:2049", "[2001:db8::a]:2049"]);
    let names: Vec<_> = efs.verified_names().iter().map(ToString::to_string).collect();
    assert_eq!(names, [name, "10.0.0.9"]);
    assert_eq!(efs.ca_file(), Some(Path::new("/etc/amazon/efs/efs-utils.crt")));
    let certificate = (Path::new("/etc/efs/client.pem"), Path::new("/etc/efs/client.key"));
    assert_eq!(efs.client_certificate(), Some(certificate));
    assert_eq!(efs.sni(), &Sni::Name("efs.example".parse().unwrap()));
    assert_eq!(efs.versions(), TlsVersion::Tls13..=TlsVersion::Tls13);
    let limits = [Stage::Dns, Stage::Tcp, Stage::Tls].map(|stage| efs.timeouts().of(stage).as_secs());
    assert_eq!(limits, [4 * 5, 7, 20]);
    assert_eq!(efs.timeouts().of(Stage::Total).as_secs(), 10 + 20 + 7 + 20);
    assert_eq!(efs.idle_timeout(), Duration::from_secs(70));
}

#[test]
fn what_is_not_said_is_as_in_stunnel() {
    let config = read(SERVICE);
    assert_eq!((config.foreground(), config.log_level()), (StunnelForeground::No, LevelFilter::INFO));
    assert_eq!((config.pid_file(), config.output()), (None, None));
    let service = &config.services()[0];
    assert_eq!(service.versions(), TlsVersion::Tls12..=TlsVersion::Tls13);
    assert_eq!([Stage::Tcp, Stage::Tls].map(|stage| service.timeouts().of(stage).as_secs()), [10, 300]);
    assert_eq!(service.timeouts().of(Stage::Total).as_secs(), 10 + 5 + 10 + 300);
    let quiet = [service.idle_timeout(), service.close_timeout()].map(|limit| limit.as_secs());
    assert_eq!(quiet, [43_200, 60]);
    assert_eq!((service.device(), service.client_certificate()), (None, None));
}

#[test]
fn what_stands_above_the_sections_counts_for_each_of_them_until_it_says_otherwise() {
    let text = "client = yes\nverify = 2\nCAfile = ca.pem\ncheckHost = all.example\nTIMEOUTidle = 70\nlibwrap = yes
sslVersion = TLSv1.2
[one]\naccept = 127.0.0.1:1\nconnect = a.example:1\n
[two]\naccept = 127.0.0.1:2\nconnect = b.example:2\ncheckHost = b.example\nTIMEOUTidle = 80\n";
    let config = read(text);
    let seen: Vec<_> = config
        .services()
        .iter()
        .map(|s| (s.name(), s.idle_timeout().as_secs(), s.verified_names().iter().map(ToString::to_string).collect()))
        .collect();
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected = [("one", 70, names(&["all.example"])), ("two", 80, names(&["all.example", "b.example"]))];
    assert_eq!(seen, expected);
    // One for `libwrap`, one for `sslVersion`.
    assert_eq!(config.warnings().iter().map(StunnelWarning::line).collect::<Vec<_>>(), [6, 7]);
}

#[test]
fn every_refusal_names_the_line_and_what_to_write() {
    for (line, expected) in [
        ("conect = a.example:1", "line 9: there is no option `conect`; did you mean `connect`?"),
        ("checkhosts = a.example", "line 9: there is no option `checkhosts`; did you mean `checkHost`?"),
        (
            "exec = /bin/sh",
            "line 9: `exec` is not supported: connections go from `accept` to `connect` only; keep stunnel for it",
        ),
        ("setuid = nobody", "line 9: `setuid` is not supported: remove the line, and start the program as that user"),
        (
            "cApath = /etc/ssl",
            "line 9: `CApath` is not supported: put the certificates into one file and name it in `CAfile`",
        ),
        ("fips = no", "line 9: `fips` is for the whole program: move it above the first section"),
        ("accept = 127.0.0.1:1", "line 9: `accept` stands in line 4 already: keep one of them"),
        ("[efs]", "line 9: a section [efs] begins in line 2 already: give each a name of its own"),
        ("verify 2", "line 9: expected `option = value`, `[service]`, or a comment after `;` or `#`; found \"verify\""),
        ("[efs", "line 9: expected `option = value`, `[service]`, or a comment after `;` or `#`; found \"[efs\""),
        (
            "checkHost = *.example",
            "line 9: `checkHost`: \"*.example\" has a wildcard, which only a certificate may have: write the name of one host, such as `host.example`",
        ),
        (
            "sni = 10.0.0.9",
            "line 9: `sni`: 10.0.0.9 is an IP address, which is never sent as server name (RFC 6066 section 3): write a DNS name, or switch the server name off",
        ),
        (
            "connect = a..b:1",
            "line 9: `connect`: \"a..b\" has two dots in a row: write one dot between labels, as in `db.example.com`",
        ),
        (
            "connect = /run/tls.sock",
            "line 9: `connect = /run/tls.sock` cannot be used: write HOST:PORT; a Unix socket can only be the one target of a service",
        ),
        ("key = k.pem", "line 2: [efs] has no `cert`: add the file of the certificate that `key` belongs to"),
        ("verifyChain = no", "line 9: `verifyChain` stands in line 6 already: keep one of them"),
    ] {
        assert_eq!(refusal(&format!("{SERVICE}\n{line}\n")), expected);
    }
}

#[test]
fn a_check_that_is_switched_off_and_demanded_is_a_contradiction() {
    for (off, level) in [
        ("verifyChain", "verify = 1"),
        ("verifyChain", "verify = 3"),
        ("verifyPeer", "verify = 3"),
        ("verifyPeer", "verify = 4"),
    ] {
        let text = SERVICE.replace("verifyChain = yes", &format!("{off} = no")) + "\n" + level;
        let expected = format!("line 6: `{off}` contradicts `verify` in line 9: remove one of them");
        assert_eq!(refusal(&text), expected);
    }
    for (off, level) in [("verifyChain", "verify = 4"), ("verifyPeer", "verify = 2")] {
        read(&(SERVICE.replace("verifyChain = yes", &format!("{off} = no")) + "\n" + level));
    }
    read(&format!("{SERVICE}\nverify = 2"));
}

#[test]
fn the_line_is_counted_whatever_ends_it() {
    for ending in ["\n", "\r\n"] {
        let text = format!("{}\n\n; comment\n  # comment\n nonsense", SERVICE).replace('\n', ending);
        let error = text.parse::<StunnelConfig>().unwrap_err();
        assert!(matches!(error, StunnelError::Syntax { line: 12, .. }), "{error}");
    }
}

#[test]
fn an_option_that_nobody_knows_is_told_what_is_known() {
    let error = refusal(&format!("{SERVICE}\nfrobnicate = 1"));
    assert!(error.starts_with("line 9: there is no option `frobnicate`: known are debug, fips, "), "{error}");
    assert!(error.contains(", checkHost, checkIP, "), "{error}");
}

#[test]
fn a_service_needs_client_accept_connect_and_a_section() {
    for (line, expected) in [
        (
            "client = yes",
            "line 2: [efs] is a TLS server, and only clients are taken over: write `client = yes` if it is one",
        ),
        ("accept = 127.0.0.1:0", "line 2: [efs] has no `accept`: add `accept = 127.0.0.1:PORT`"),
        ("connect = 127.0.0.1:2049", "line 2: [efs] has no `connect`: add `connect = HOST:PORT`"),
        (
            "CAfile = ca.pem",
            "line 2: [efs] has no `CAfile`: add the file of the CA certificates, such as `CAfile = /etc/amazon/efs/efs-utils.crt`",
        ),
    ] {
        assert_eq!(refusal(&SERVICE.replace(&format!("\n{line}"), "")), expected);
    }
    let server = SERVICE.replace("client = yes", "client = no");
    assert!(refusal(&server).starts_with("line 3: [efs] is a TLS server"), "{}", refusal(&server));
    let none = "no service: add a section such as `[efs]`, with `client = yes`, `accept` and `connect`";
    for text in ["", "; nothing", "fips = no\nclient = yes"] {
        assert_eq!(refusal(text), none);
    }
}

#[test]
fn values_are_checked() {
    let seconds = "a number of seconds, at least 1";
    let yes_no = "yes or no";
    let version = "TLSv1.2, TLSv1.3 or all (older versions are broken, RFC 8996, and not spoken)";
    let accept = "PORT, IP:PORT, localhost:PORT or the path of a Unix socket";
    let connect = "PORT, HOST:PORT or the path of a Unix socket";
    let socket = "a:SO_BINDTODEVICE=DEVICE, a:SO_REUSEADDR=yes|no, l:SO_REUSEADDR=yes|no, l:TCP_NODELAY=yes, \
                  r:TCP_NODELAY=yes or r:SO_KEEPALIVE=yes|no";
    let openssl = "NO_SSLv2, NO_SSLv3, NO_TLSv1 or NO_TLSv1.1, or use `sslVersion`";
    for (option, good, bad, write) in [
        ("TIMEOUTidle", &["1", "43200"][..], &["0", "-1", "", "1s", "4294967296"][..], seconds),
        ("TIMEOUTbusy", &["20"], &["0"], seconds),
        ("TIMEOUTconnect", &["20"], &["0"], seconds),
        ("TIMEOUTclose", &["0", "60"], &["-1", "soon"], "a number of seconds"),
        ("renegotiation", &["no", "YES"], &["true", "1", ""], yes_no),
        ("libwrap", &["no"], &["false"], yes_no),
        (
            "sslVersion",
            &["all", "tlsv1.2", "TLSv1.3"],
            &["SSLv3", "TLSv1", "TLSv1.1", "1.2", "TLSv1.2 ; only"],
            version,
        ),
        ("verify", &["1", "2", "3"], &["5", "-1", "two"], "a level from 0 to 4"),
        ("failover", &["rr", "prio"], &["random"], "prio or rr"),
        ("cert", &["c.pem"], &[""], "the path of a file"),
        (
            "connect",
            &["1", "h:1", "::1:2", "[::1]:2"],
            &["", "h", "h:", "h:65536", "h:0", "h:nfs", "2001:db8::g:1"],
            connect,
        ),
        ("checkIP", &["10.0.0.9", "::1"], &["a.example", "10.0.0"], "an IP address"),
        ("options", &["NO_SSLv2", "no_tlsv1.1"], &["NO_TLSv1.2", "ALL", ""], openssl),
        ("fs_id", &["fs-0123456789abcdef0"], &["fs-1"], "the id of a file system, such as fs-0123456789abcdef0"),
        ("region", &["us-east-1"], &["moon"], "a region, such as us-east-1"),
        ("cloud_watch_logs", &["True", "False", "yes"], &["maybe"], yes_no),
        (
            "socket",
            &["a:SO_REUSEADDR=no", "l:SO_REUSEADDR=yes", "r:TCP_NODELAY=1"],
            &["SO_REUSEADDR", "l:SO_LINGER=1:60", "r:TCP_NODELAY=no", "a:SO_BINDTODEVICE="],
            socket,
        ),
    ] {
        for value in good {
            read(&format!("{SERVICE}\n{option} = {value}"));
        }
        for value in bad {
            let error = refusal(&format!("{SERVICE}\n{option} = {value}"));
            assert_eq!(error, format!("line 9: `{option} = {value}` cannot be used: write {write}"));
        }
    }
    for bad in ["", "no.example:2049", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:nfs"] {
        let error = refusal(&SERVICE.replace("127.0.0.1:0", bad));
        assert_eq!(error, format!("line 4: `accept = {bad}` cannot be used: write {accept}"));
    }
    for (good, address) in [("localhost:1", "127.0.0.1:1"), ("::1:1", "[::1]:1"), ("/run/efs", "/run/efs")] {
        assert_eq!(read(&SERVICE.replace("127.0.0.1:0", good)).services()[0].accept().to_string(), address);
    }
    for (level, filter) in [("7", LevelFilter::DEBUG), ("LOCAL1.Info", LevelFilter::INFO), ("err", LevelFilter::ERROR)]
    {
        assert_eq!(read(&format!("debug = {level}{SERVICE}")).log_level(), filter);
    }
    for bad in ["8", "trace", "daemon."] {
        let error = refusal(&format!("debug = {bad}{SERVICE}"));
        let write = "a syslog level, 0 to 7 or emerg to debug";
        assert_eq!(error, format!("line 1: `debug = {bad}` cannot be used: write {write}"));
    }
}

#[test]
fn the_bounds_of_versions_agree_or_are_refused() {
    let bounds = |lines: &str| format!("{SERVICE}\n{lines}");
    let versions = |lines: &str| read(&bounds(lines)).services()[0].versions();
    assert_eq!(versions("sslVersionMin = TLSv1.3"), TlsVersion::Tls13..=TlsVersion::Tls13);
    assert_eq!(versions("sslVersionMax = TLSv1.2"), TlsVersion::Tls12..=TlsVersion::Tls12);
    assert_eq!(versions("sslVersionMin = all\nsslVersionMax = all"), TlsVersion::Tls12..=TlsVersion::Tls13);
    for (lines, expected) in [
        (
            "sslVersionMin = TLSv1.3\nsslVersionMax = TLSv1.2",
            "line 10: `sslVersionMax` contradicts `sslVersionMin` in line 9: remove one of them",
        ),
        (
            "sslVersion = TLSv1.3\nsslVersionMax = all",
            "line 10: `sslVersionMax` contradicts `sslVersion` in line 9: remove one of them",
        ),
    ] {
        assert_eq!(refusal(&bounds(lines)), expected);
    }
}

#[test]
fn the_server_name_is_that_of_the_target_or_else_the_verified_one() {
    let sni = |connect: &str, lines: &str| {
        let text = SERVICE.replace("127.0.0.1:2049", connect) + "\n" + lines;
        read(&text).services()[0].sni().clone()
    };
    let name = |name: &str| Sni::Name(name.parse().unwrap());
    assert_eq!(sni("a.example:1", ""), name("a.example"));
    assert_eq!(sni("10.0.0.9:1", ""), name("fs.example"));
    assert_eq!(sni("/run/tls.sock", ""), name("fs.example"));
    assert_eq!(sni("a.example:1", "sni = b.example"), name("b.example"));
    assert_eq!(sni("a.example:1", "sni ="), Sni::Off);
}

#[test]
fn the_mount_helper_finds_the_options_that_it_looks_for() {
    let help = StunnelConfig::help();
    let line = |option: &str| help.lines().find(|line| line.starts_with(option));
    assert_eq!(line("foreground"), Some("foreground             = yes, quiet or no"));
    assert!(line("checkHost ").is_some() && line("libwrap ").is_some());
    assert_eq!(line("OCSPaia"), None);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = StunnelImport::new().read("no such file").unwrap_err();
    assert!(matches!(&error, StunnelError::Read { path, .. } if path == Path::new("no such file")), "{error}");
}

#[test]
fn a_password_does_not_appear_in_the_error() {
    for line in ["protocolPassword hunter2", "protocolPassword = hunter2", "pasword = hunter2"] {
        let error = format!("{SERVICE}\n{line}").parse::<StunnelConfig>().unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn targets_are_typed() {
    let config = read(&SERVICE.replace("127.0.0.1:2049", "2049"));
    assert_eq!(config.services()[0].targets(), [StunnelTarget::Tcp { host: "localhost".into(), port: 2049 }]);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = text.parse::<StunnelConfig>();
    }

    /// Lines of a real file, some left out, with others of another, whole or cut, after them.
    #[test]
    fn no_mixture_of_lines_makes_it_panic_or_goes_unverified(
        kept in proptest::sample::subsequence(SERVICE.lines().collect::<Vec<_>>(), 5..=8),
        more in proptest::collection::vec((proptest::sample::select(RECIPE.lines().collect::<Vec<_>>()), 0..90_usize), 0..4),
    ) {
        let more = more.iter().map(|(line, keep)| line.chars().take(*keep).collect());
        let text: Vec<String> = kept.iter().map(ToString::to_string).chain(more).collect();
        if let Ok(config) = text.join("\n").parse::<StunnelConfig>() {
            for service in config.services() {
                prop_assert!(service.ca_file().is_some() && !service.verified_names().is_empty());
            }
        }
    }
}
