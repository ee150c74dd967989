//! secure-connector
