//! One server on a free port of this machine, for as long as the process lives.

use std::net::SocketAddr;

use anyhow::Result;
use axum::Router;
use tokio::net::TcpListener;

/// Binds first, so that `router` can name its own address.
pub async fn serve(router: impl FnOnce(SocketAddr) -> Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = router(address);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}
