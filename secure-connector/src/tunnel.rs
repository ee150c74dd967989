//! Any connector behind a local listener.
