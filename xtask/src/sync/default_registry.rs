//! Where images go whose destination is written without a registry: the transfer tool's and the plain list's.
//!
//! The variables are those of the two tools: `REGISTRY`; `REGISTRY_NAMESPACE`, `NAMESPACE` or `ALIYUN_NAMESPACE`;
//! `REGISTRY_USER` and `REGISTRY_PASSWORD`, or `ALIYUN_USERNAME` and `ALIYUN_PASSWORD`. The first that is set counts.

use super::reader::ConfigReader;
use crate::credentials::{Login, Variables};
use crate::oci::{ReferenceError, RepositoryName};

/// A registry, a namespace there, and who signs in.
pub(super) struct DefaultRegistry {
    /// In its canonical spelling.
    pub host: String,
    /// The namespace and a slash, if there is one.
    prefix: String,
    pub login: Option<Login>,
}

const NAMESPACE: [&str; 3] = ["REGISTRY_NAMESPACE", "NAMESPACE", "ALIYUN_NAMESPACE"];
const LOGIN: [(&str, &str); 2] = [
    ("REGISTRY_USER", "REGISTRY_PASSWORD"),
    ("ALIYUN_USERNAME", "ALIYUN_PASSWORD"),
];

/// Reserved by RFC 2606; it never gets into a request.
const STAND_IN: &str = "registry.invalid";

impl DefaultRegistry {
    /// The one of this run, read when first needed. If it is wrong, that is a problem and a stand-in takes its place,
    /// so that the remaining problems are found too.
    pub(super) fn get<'b>(
        found: &'b mut Option<DefaultRegistry>,
        reader: &mut ConfigReader,
    ) -> &'b DefaultRegistry {
        found.get_or_insert_with(|| DefaultRegistry::new(reader))
    }

    /// The repository of the image `name`.
    pub(super) fn repository(&self, name: &str) -> Result<RepositoryName, ReferenceError> {
        RepositoryName::new(&self.host, &format!("{}{name}", self.prefix))
    }

    fn new(reader: &mut ConfigReader) -> DefaultRegistry {
        let lookup = reader.lookup;
        let mut problem = |sentence| reader.problems.push(sentence);
        let host = lookup("REGISTRY").unwrap_or_else(|| {
            let file = &reader.file;
            problem(format!(
                "`REGISTRY` is not set: `{file}` names destinations without a registry; hint: also `REGISTRY_NAMESPACE`, `REGISTRY_USER` and `REGISTRY_PASSWORD`"
            ));
            STAND_IN.to_owned()
        });
        let namespace = NAMESPACE.into_iter().find_map(lookup);
        let prefix = namespace.map_or_else(String::new, |namespace| namespace + "/");
        let (host, prefix) = match RepositoryName::new(&host, &format!("{prefix}any")) {
            Ok(any) => (any.host().to_owned(), prefix),
            Err(error) => {
                problem(format!("`REGISTRY` and its namespace: {error}"));
                (STAND_IN.to_owned(), String::new())
            }
        };
        // The first of which anything is set.
        let login = LOGIN.into_iter().find_map(|(user, password)| {
            let login = Variables::read(user, password, lookup).login();
            login.map_err(|half| problem(half.to_string())).transpose()
        });
        DefaultRegistry {
            host,
            prefix,
            login: login.and_then(Result::ok),
        }
    }
}
