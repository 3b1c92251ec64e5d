//! The package feed: an `index.json` in the product's format, and the packages it lists.

use anyhow::Result;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use xtask::oci::Digest;

use crate::product::Product;
use crate::serve::serve as listen;

/// The feed's base URL.
pub async fn serve(product: &Product) -> Result<String> {
    let mut router = Router::new();
    let mut assets = Vec::new();
    for runtime in ["linux-x64", "linux-arm64"] {
        let version = Product::VERSION;
        let name = format!("{}-{version}-{runtime}-nort.zip", product.image);
        let path = format!("{version}/{name}");
        let package = product.package(runtime)?;
        assets.push(json!({
            "name": name,
            "path": path,
            "size": package.len(),
            "sha256": Digest::sha256_of(&package).hex(),
        }));
        let package = axum::body::Bytes::from(package);
        router = router.route(&format!("/{path}"), get(async move || package));
    }
    let index = json!({"versions": [{"version": Product::VERSION, "assets": assets}]});
    let router = router.route("/index.json", get(async move || Json(index)));
    let address = listen(|_| router).await?;
    Ok(format!("http://{address}/"))
}
