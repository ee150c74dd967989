//! efs-tls
