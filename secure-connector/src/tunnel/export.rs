//! The counters of tunnels for monitoring systems.

use super::TunnelStatus;
use crate::metric::{Metric, unix_seconds};

impl TunnelStatus {
    /// These tunnels, each with labels of its own, in the Prometheus text format 0.0.4: see [`Metric::prometheus`].
    ///
    /// The metrics are the fields of this struct, named `secure_connector_tunnel_…`.
    ///
    /// ```
    /// # fn run(home: &secure_connector::Tunnel, data: &secure_connector::Tunnel) -> String {
    /// use secure_connector::TunnelStatus;
    ///
    /// TunnelStatus::prometheus([
    ///     (&home.status(), [("file_system", "fs-0123456789abcdef0")].as_slice()),
    ///     (&data.status(), &[("file_system", "fs-0123456789abcdef1")]),
    /// ])
    /// # }
    /// ```
    pub fn prometheus<'a>(tunnels: impl IntoIterator<Item = (&'a Self, &'a [(&'a str, &'a str)])>) -> String {
        Metric::prometheus(METRICS, tunnels)
    }

    /// Hands what [`prometheus`](Self::prometheus) writes to the recorder of the `metrics` crate: see
    /// [`Metric::publish`].
    #[cfg(feature = "metrics")]
    pub fn publish(&self, labels: &[(&str, &str)]) {
        Metric::publish(METRICS, self, labels);
    }
}

macro_rules! named {
    ($name:literal) => {
        concat!("secure_connector_tunnel_", $name)
    };
}

const METRICS: &[Metric<TunnelStatus>] = &[
    Metric::gauge(named!("start_time_seconds"), "When the tunnel was started, in Unix time.", |s| {
        unix_seconds(s.started_at)
    }),
    Metric::gauge(named!("accepting"), "Whether the tunnel accepts connections: 0 from the moment of a drain.", |s| {
        Some(f64::from(u8::from(s.accepting)))
    }),
    Metric::gauge(named!("remote_clients"), "Whether other hosts can connect.", |s| {
        Some(f64::from(u8::from(s.remote_clients)))
    }),
    Metric::gauge(named!("connections_active"), "Connections that are open now.", |s| Some(s.active as f64)),
    Metric::counter(
        named!("connections_accepted_total"),
        "Connections accepted, without those refused and denied.",
        |s| s.accepted,
    ),
    Metric::counter(named!("connections_refused_total"), "Connections reset because the limit was reached.", |s| {
        s.refused
    }),
    Metric::counter(named!("connections_denied_total"), "Connections reset because their user is not allowed.", |s| {
        s.denied
    }),
    Metric::counter(named!("accept_failures_total"), "Failures to accept, such as too many open files.", |s| {
        s.accept_failures
    }),
    Metric::counter(named!("upstream_connects_total"), "Attempts to reach the upstream that succeeded.", |s| {
        s.connects_ok
    }),
    Metric::counter(named!("upstream_connect_failures_total"), "Attempts to reach the upstream that failed.", |s| {
        s.connects_failed
    }),
    Metric::counter(named!("upstream_retries_total"), "Failures after which the attempt was repeated.", |s| s.retried),
    Metric::counter(named!("up_bytes_total"), "Bytes written to the upstream.", |s| s.bytes_up),
    Metric::counter(named!("down_bytes_total"), "Bytes written to local sides.", |s| s.bytes_down),
    Metric::counter(named!("truncated_total"), "Connections whose upstream ended in the middle.", |s| s.truncated),
    Metric::counter(
        named!("unconfirmed_total"),
        "Connections whose upstream owed its end of stream at the end.",
        |s| s.unconfirmed,
    ),
    Metric::counter(named!("local_resets_total"), "Connections reset by the local side.", |s| s.local_resets),
    Metric::counter(named!("local_left_total"), "Connections left before the upstream was reached.", |s| s.local_left),
    Metric::counter(named!("idle_closed_total"), "Connections ended by the idle timeout.", |s| s.idle_closed),
    Metric::counter(named!("close_timeouts_total"), "Half-closed connections ended by the close timeout.", |s| {
        s.close_timeouts
    }),
    Metric::gauge(named!("last_error_time_seconds"), "When the latest failure happened, in Unix time.", |s| {
        s.last_error.as_ref().and_then(|last| unix_seconds(last.at))
    }),
];
