//! Who signs in where base images come from: the engine asks for it while it builds.

use std::collections::{BTreeMap, HashMap};

use bollard::auth::DockerCredentials;
use bollard::moby::filesync::v1::auth_server::Auth;
use bollard::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
};
use tonic::{Request, Response, Status};

use super::push::for_engine;
use crate::credentials::Credentials;
use crate::oci::canonical_host;

/// Logins by the registry's host.
pub type BuildLogins = BTreeMap<String, Credentials>;

/// Gives the engine the logins when it asks for them.
pub(super) struct LoginProvider(pub BuildLogins);

/// The same for a session of bollard's.
pub(super) fn for_bollard(logins: &BuildLogins) -> Option<HashMap<String, DockerCredentials>> {
    let logins = logins.iter().filter_map(|(host, credentials)| {
        let sent = for_engine(credentials, host)?;
        Some((sent.serveraddress.clone()?, sent))
    });
    let logins: HashMap<_, _> = logins.collect();
    (!logins.is_empty()).then_some(logins)
}

#[tonic::async_trait]
impl Auth for LoginProvider {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let host = canonical_host(&request.get_ref().host).ok();
        let (username, secret) = match host.and_then(|host| self.0.get(&host)) {
            // Without a login, BuildKit asks as nobody.
            None | Some(Credentials::Anonymous) => Default::default(),
            Some(Credentials::Basic { username, password }) => {
                (username.clone(), password.expose().clone())
            }
            Some(Credentials::IdentityToken(token)) => (String::new(), token.expose().clone()),
            // BuildKit has no word for these.
            Some(Credentials::Pair(_) | Credentials::RegistryToken(_)) => Default::default(),
        };
        Ok(Response::new(CredentialsResponse { username, secret }))
    }

    // Of these BuildKit knows that not every client has them; it fetches tokens itself then.

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("the engine has the credentials"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("the engine has the credentials"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("the engine has the credentials"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[tokio::test]
    async fn a_login_goes_to_its_own_registry() {
        let basic = Credentials::Basic {
            username: "u".to_owned(),
            password: Secret::new("p".to_owned()),
        };
        let token = Credentials::IdentityToken(Secret::new("t".to_owned()));
        let logins = [("docker.io", basic), ("a.io:5000", token)];
        let logins: BuildLogins = logins.map(|(host, it)| (host.to_owned(), it)).into();
        let sent = for_bollard(&logins).unwrap();
        assert!(sent.contains_key("https://index.docker.io/v1/"));
        let provider = LoginProvider(logins);
        for (host, expected) in [
            ("registry-1.docker.io", ("u", "p")),
            ("a.io:5000", ("", "t")),
            ("b.io", ("", "")),
        ] {
            let request = CredentialsRequest {
                host: host.to_owned(),
            };
            let answer = provider.credentials(Request::new(request)).await.unwrap();
            let answer = answer.into_inner();
            assert_eq!((&*answer.username, &*answer.secret), expected, "{host}");
        }
    }
}
