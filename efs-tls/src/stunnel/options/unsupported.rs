//! Options of stunnel that have no counterpart here, and what to do instead.

/// The option's usual spelling and what to do instead.
pub(in super::super) fn unsupported(option: &str) -> Option<(&'static str, &'static str)> {
    let mut all = UNSUPPORTED.iter().flat_map(|(remedy, options)| options.iter().map(move |name| (*name, *remedy)));
    all.find(|(name, _)| name.eq_ignore_ascii_case(option))
}

const UNSUPPORTED: &[(&str, &[&str])] = &[
    (
        "revocation is not checked by this import; remove the line, or build a `TlsConnector` with \
         `PeerVerifier::with_crls`",
        &["CRLfile", "CRLpath", "OCSP", "OCSPflag", "OCSPnonce", "OCSPrequire"],
    ),
    ("put the certificates into one file and name it in `CAfile`", &["CApath"]),
    ("verify the server by `checkHost` or `checkIP`", &["checkEmail"]),
    (
        "remove the line; only algorithms without a known weakness are offered",
        &["ciphers", "ciphersuites", "curve", "curves", "securityLevel"],
    ),
    (
        "give keys and certificates as PEM files in `cert`, `key` and `CAfile`",
        &[
            "CAengine",
            "config",
            "engine",
            "engineCtrl",
            "engineDefault",
            "engineId",
            "engineNum",
            "provider",
            "providerParameter",
            "PSKidentity",
            "PSKsecrets",
        ],
    ),
    ("remove the line; random numbers come from the system", &["EGD", "RNDbytes", "RNDfile", "RNDoverwrite"]),
    ("remove the line, and start the program as that user", &["chroot", "setgid", "setuid"]),
    (
        "connections go from `accept` to `connect` only; keep stunnel for it",
        &[
            "exec",
            "execArgs",
            "ident",
            "pty",
            "redirect",
            "sessiond",
            "ticketKeySecret",
            "ticketMacSecret",
            "transparent",
        ],
    ),
    (
        "TLS begins with the first byte; keep stunnel for it",
        &[
            "protocol",
            "protocolAuthentication",
            "protocolDomain",
            "protocolHeader",
            "protocolHost",
            "protocolPassword",
            "protocolUsername",
        ],
    ),
    (
        "remove the line; sessions are resumed, and their peer is verified again each time",
        &["sessionCacheSize", "sessionCacheTimeout", "sessionResume"],
    ),
    ("put the lines of those files into this one", &["include"]),
    ("remove the line; what does not end well always ends by reset", &["reset"]),
    ("remove the line; `output` is always appended to, and connections are numbered", &["log", "logId"]),
    ("remove the line; the system chooses", &["compression", "local", "service", "stack"]),
];
