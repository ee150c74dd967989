//! The tunnel configurations: that each is read, and that it means what the mount helper was asked for.

use std::path::Path;

use efs_tls::{
    StunnelConfig, StunnelError, StunnelForeground, StunnelImport, StunnelService, StunnelWarning, StunnelWeakness,
};
use secure_connector::{Sni, Stage, TlsVersion};
use serde_json::Value;

const NAME: &str = "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com";
const STATE: &str = "/var/run/efs/fs-0123456789abcdef0.mnt.efs.20049+";
const LOG: &str = "/var/log/amazon/efs/fs-0123456789abcdef0.mnt.efs.20049.efs-proxy.log";

pub(crate) fn tunnel_configuration(row: &Value) -> Vec<String> {
    let text = row["config_text"].as_str().unwrap();
    if text == "SystemExit 1" {
        // The mount helper wrote nothing: it found no check of names or of revocation in that stunnel.
        let error = text.parse::<StunnelConfig>().unwrap_err();
        return differences([("refusal", matches!(error, StunnelError::Syntax { line: 1, .. }), true)]);
    }
    let weaknesses = weaknesses(row);
    let mut found = match (text.parse::<StunnelConfig>(), weaknesses.is_empty()) {
        (Ok(_), true) => Vec::new(),
        (Err(StunnelError::Refused { weakness, .. }), false) if weaknesses.contains(&weakness) => Vec::new(),
        (other, _) => vec![format!("without permission: ours {other:?}, expected {weaknesses:?}")],
    };
    let import = weaknesses.iter().fold(StunnelImport::new(), |import, weakness| match weakness {
        StunnelWeakness::PeerNotVerified => import.danger_accept_any_certificate(),
        StunnelWeakness::NameNotChecked => import.danger_accept_any_name(),
        StunnelWeakness::RevocationNotChecked => import.danger_skip_revocation(),
        StunnelWeakness::NotFips => import.danger_without_fips(),
        other => panic!("{other:?}"),
    });
    let config = match import.parse(text) {
        Ok(config) => config,
        Err(error) => return vec![error.to_string()],
    };
    let [service] = config.services() else { return vec![format!("{} services", config.services().len())] };
    found.extend(program(row, &config, &weaknesses));
    found.extend(meaning(row, service));
    found
}

fn asked(row: &Value, option: &str) -> bool {
    row["options"].get(option).is_some()
}

fn overridden(row: &Value, option: &str) -> bool {
    row["config_overrides"].as_array().unwrap().iter().any(|change| change[1] == option)
}

/// What the options of the mount leave unprotected.
fn weaknesses(row: &Value) -> Vec<StunnelWeakness> {
    let fips = overridden(row, "fips_mode_enabled") && !cfg!(feature = "fips");
    [
        (!asked(row, "tls") || row["options"]["verify"] == "0", StunnelWeakness::PeerNotVerified),
        (overridden(row, "stunnel_check_cert_hostname"), StunnelWeakness::NameNotChecked),
        (row["ocsp"] == true, StunnelWeakness::RevocationNotChecked),
        (fips, StunnelWeakness::NotFips),
    ]
    .into_iter()
    .filter_map(|(is, weakness)| is.then_some(weakness))
    .collect()
}

fn program(row: &Value, config: &StunnelConfig, weaknesses: &[StunnelWeakness]) -> Vec<String> {
    let s3_files = row["mount_type"] == "S3Files";
    let debug = overridden(row, "stunnel_debug_enabled");
    let foreground = match row["efs_proxy_enabled"] == true {
        true => StunnelForeground::Yes,
        false => StunnelForeground::Quiet,
    };
    let mut expected: Vec<String> = weaknesses.iter().map(|weakness| format!("{weakness:?}")).collect();
    expected.extend(["NoTls13", "AnswersCutOff"].map(str::to_owned));
    if s3_files {
        let proxy = ["proxy_logging_level", "proxy_logging_max_bytes", "proxy_logging_file_count"];
        expected.extend(proxy.iter().chain(&["cloud_watch_metrics", "cloud_watch_logs"]).map(ToString::to_string));
    }
    expected.sort();
    let mut warnings: Vec<String> = config
        .warnings()
        .iter()
        .map(|warning| match warning {
            StunnelWarning::Permitted { weakness, .. } => format!("{weakness:?}"),
            StunnelWarning::NotApplied { option, .. } => option.to_string(),
            StunnelWarning::NoTls13 { .. } => "NoTls13".to_owned(),
            StunnelWarning::AnswersCutOff { .. } => "AnswersCutOff".to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    warnings.sort();
    let output = (s3_files || debug).then_some(LOG);
    let level = if debug { "debug" } else { "info" };
    let mut found = differences([
        ("warnings", format!("{warnings:?}"), format!("{expected:?}")),
        ("foreground", format!("{:?}", config.foreground()), format!("{foreground:?}")),
        ("output", format!("{:?}", config.output()), format!("{:?}", output.map(Path::new))),
        ("debug", config.log_level().to_string(), level.to_owned()),
    ]);
    let pid = format!("{STATE}/stunnel.pid");
    found.extend(differences([("pid", config.pid_file(), Some(Path::new(&pid)))]));
    found
}

fn meaning(row: &Value, service: &StunnelService) -> Vec<String> {
    let dialled = match (row["fallback_ip"].as_str(), row["options"]["az"].as_str()) {
        (Some(v6), _) if v6.contains(':') => format!("[{v6}]:2049"),
        (Some(address), _) => format!("{address}:2049"),
        (None, Some(zone)) => format!("{zone}.{NAME}:2049"),
        (None, None) => format!("{NAME}:2049"),
    };
    let tls = asked(row, "tls");
    let verified = tls && row["options"]["verify"] != "0";
    let named = verified && !overridden(row, "stunnel_check_cert_hostname");
    let sni = dialled.strip_suffix(":2049").filter(|host| host.ends_with(NAME)).unwrap_or(NAME);
    let certificate = (format!("{STATE}/certificate.pem"), "/etc/amazon/efs/privateKey.pem");
    let certificate = tls.then_some((Path::new(&certificate.0), Path::new(certificate.1)));
    let limit = match row["efs_proxy_enabled"] == true {
        true => 15 - 1,
        false => 10 + 5 + 10 + 20,
    };
    let list = |items: &[String]| items.join(" ");
    let targets: Vec<_> = service.targets().iter().map(ToString::to_string).collect();
    let names: Vec<_> = service.verified_names().iter().map(ToString::to_string).collect();
    let seconds = |stage| service.timeouts().of(stage).as_secs();
    let mut found = differences([
        ("section", service.name().to_owned(), "efs".to_owned()),
        ("accept", service.accept().to_string(), "127.0.0.1:20049".to_owned()),
        ("device", service.device().unwrap_or_default().to_owned(), "lo".to_owned()),
        ("connect", list(&targets), dialled.clone()),
        ("names", list(&names), if named { NAME.to_owned() } else { String::new() }),
        ("versions", format!("{:?}", service.versions()), format!("{:?}", TlsVersion::Tls12..=TlsVersion::Tls12)),
        ("sni", format!("{:?}", service.sni()), format!("{:?}", Sni::Name(sni.parse().unwrap()))),
    ]);
    found.extend(differences([
        ("TIMEOUTconnect", seconds(Stage::Tcp), 10),
        ("TIMEOUTbusy", seconds(Stage::Tls), 20),
        ("TIMEOUTidle", service.idle_timeout().as_secs(), 70),
        ("TIMEOUTclose", service.close_timeout().as_secs(), 0),
        ("limit of all stages", seconds(Stage::Total), limit),
    ]));
    let ca_file = verified.then_some(Path::new("/etc/amazon/efs/efs-utils.crt"));
    found.extend(differences([("CAfile", service.ca_file(), ca_file)]));
    found.extend(differences([("cert and key", service.client_certificate(), certificate)]));
    found
}

fn differences<T: PartialEq + std::fmt::Debug>(rows: impl IntoIterator<Item = (&'static str, T, T)>) -> Vec<String> {
    let differ = rows.into_iter().filter(|(_, ours, theirs)| ours != theirs);
    differ.map(|(what, ours, theirs)| format!("{what}: ours {ours:?}, theirs {theirs:?}")).collect()
}
