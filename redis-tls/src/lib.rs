//! Redis and Valkey over verified TLS.
#![cfg_attr(docsrs, feature(doc_cfg))]
