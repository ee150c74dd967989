//! The README's example, compiled as a test.
#![doc = include_str!("../../README.md")]
