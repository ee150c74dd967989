//! The state of tunnels for monitoring systems.

use secure_connector::{Metric, TunnelStatus, unix_seconds};

use super::EfsTunnelStatus;

impl EfsTunnelStatus {
    /// These tunnels, each with labels of its own, in the Prometheus text format 0.0.4: what
    /// [`TunnelStatus::prometheus`] writes, and the client certificate and the health as `efs_tunnel_…`.
    ///
    /// ```
    /// # fn run(home: &efs_tls::EfsTunnel, data: &efs_tls::EfsTunnel) -> String {
    /// use efs_tls::EfsTunnelStatus;
    ///
    /// EfsTunnelStatus::prometheus([
    ///     (&home.status(), [("file_system", "fs-0123456789abcdef0")].as_slice()),
    ///     (&data.status(), &[("file_system", "fs-0123456789abcdef1")]),
    /// ])
    /// # }
    /// ```
    pub fn prometheus<'a>(tunnels: impl IntoIterator<Item = (&'a Self, &'a [(&'a str, &'a str)])>) -> String {
        let tunnels: Vec<_> = tunnels.into_iter().collect();
        let text = TunnelStatus::prometheus(tunnels.iter().map(|(status, labels)| (&status.tunnel, *labels)));
        text + &Metric::prometheus(METRICS, tunnels)
    }
}

const METRICS: &[Metric<EfsTunnelStatus>] = &[
    Metric::counter("efs_tunnel_certificates_issued_total", "Client certificates issued.", |s| s.renewal.issued),
    Metric::gauge("efs_tunnel_certificate_expiry_time_seconds", "End of the client certificate, in Unix time.", |s| {
        s.renewal.not_after.and_then(unix_seconds)
    }),
    Metric::gauge("efs_tunnel_credentials_expiry_time_seconds", "End of the AWS credentials, in Unix time.", |s| {
        s.renewal.credentials_expire_at.and_then(unix_seconds)
    }),
    Metric::gauge("efs_tunnel_renewal_failures", "Attempts that failed since the last client certificate.", |s| {
        Some(f64::from(s.renewal.failures))
    }),
    Metric::gauge("efs_tunnel_healthy", "Whether the latest probe was let in.", |s| {
        s.health.as_ref().map(|health| f64::from(u8::from(health.is_healthy())))
    }),
    Metric::gauge("efs_tunnel_probe_time_seconds", "When the latest probe ended, in Unix time.", |s| {
        s.health.as_ref().and_then(|health| unix_seconds(health.at))
    }),
    Metric::gauge("efs_tunnel_probe_duration_seconds", "How long the latest probe took.", |s| {
        s.health.as_ref().map(|health| health.took.as_secs_f64())
    }),
];
