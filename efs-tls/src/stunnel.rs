//! Configuration files of stunnel and efs-proxy, as people and the EFS mount helper write them.

mod error;
mod import;
mod judge;
mod lines;
mod listener;
mod options;
mod service;
mod settings;
mod targets;
mod values;
mod warning;

pub use self::{
    error::StunnelError,
    import::{StunnelConfig, StunnelImport},
    service::StunnelService,
    targets::StunnelTarget,
    values::StunnelForeground,
    warning::{StunnelWarning, StunnelWeakness},
};
