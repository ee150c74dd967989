//! SPIFFE identities and mTLS.
#![cfg_attr(docsrs, feature(doc_cfg))]
