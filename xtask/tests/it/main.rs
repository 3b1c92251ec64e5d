//! The one integration binary.

mod registry_client;
mod support;
mod tidy;
