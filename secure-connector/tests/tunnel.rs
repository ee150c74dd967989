//! `Tunnel` between real local sockets and an upstream that misbehaves on demand.
#![cfg(feature = "tunnel")]

#[cfg(test)]
mod tunnel {
    mod double;

    mod connecting;
    mod ending;
    mod exporting;
    #[cfg(target_os = "linux")]
    mod handover;
    mod limits;
    mod listening;
    mod observing;
    mod relaying;
    #[cfg(target_os = "linux")]
    mod resources;
    #[cfg(target_os = "linux")]
    mod users;
}
