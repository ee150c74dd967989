//! LUKS headers, keys and volumes.
#![cfg_attr(docsrs, feature(doc_cfg))]
