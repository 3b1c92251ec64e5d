//! Computes the names that an engine's classic export gives to layers.
//!
//! Engines up to 24 export a layer as `<id>/layer.tar`, where the id is that of an image of Docker before 1.10, made up
//! for the occasion from the layers below it (moby, `image/v1/imagev1.go`, `CreateID`). They give a layer's diff id
//! before it is read. A wrong one does no harm, as no layer has its name.

use std::collections::HashMap;

use crate::oci::Digest;

/// The config that every made-up image but the topmost has, as moby 20.10 spells it.
const EMPTY: &str = concat!(
    r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,"#,
    r#""Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"#,
    r#""WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}"#,
);

/// The entry names of the layers with these diff ids, from the bottom, without the topmost: its name depends on the
/// whole config.
pub(super) fn names(diff_ids: &[Digest]) -> HashMap<String, Digest> {
    let mut names = HashMap::new();
    let mut chain: Option<Digest> = None;
    let mut parent: Option<Digest> = None;
    let (_, below) = diff_ids.split_last().unzip();
    for diff_id in below.unwrap_or_default() {
        let link = match chain {
            None => diff_id.clone(),
            // OCI image specification, "Layer ChainID".
            Some(chain) => Digest::sha256_of(format!("{chain} {diff_id}").as_bytes()),
        };
        let parent_key = match parent {
            None => String::new(),
            Some(parent) => format!(r#","parent":"{parent}""#),
        };
        let id = Digest::sha256_of(
            format!(
                r#"{{"container_config":{EMPTY},"created":"1970-01-01T00:00:00Z","layer_id":"{link}"{parent_key}}}"#
            )
            .as_bytes(),
        );
        names.insert(format!("{}/layer.tar", id.hex()), diff_id.clone());
        chain = Some(link);
        parent = Some(id);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From an export of engine 20.10.24.
    #[test]
    fn the_names_are_those_of_an_engine() {
        let diff_ids = [
            "cea0244fd2e87c08af660bc862fce4cf8e316ed53c0bcdced1e2817f03713523",
            "0f75d3d66f7ab44ea4def8ecfefad5187e3133c631403e536c238029415e1832",
            "160279562a569c4cbbd73ae996344b251ad88f9464f2e11e2c4d471d6d67484e",
            "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
        ]
        .map(|hex| format!("sha256:{hex}").parse().unwrap());
        let names = names(&diff_ids);
        for (id, diff_id) in [
            "9e98e7f2b989c1638c47fab4f2c15306ef0fef2d0ca0be25e4f3bb4c99a3bb95",
            "9a8f3d6292fbc6e473bf3bcc6bc11828aa4ee301df11295f61cb265dd41cbdce",
            "a69174f0e1deb9274e999f776ae0b422c6e367a7cdff9ae447f3566e9a1ecdad",
        ]
        .iter()
        .zip(&diff_ids)
        {
            assert_eq!(names.get(&format!("{id}/layer.tar")), Some(diff_id));
        }
        assert_eq!(names.len(), 3);
    }

    #[test]
    fn the_topmost_layer_has_no_name_beforehand() {
        assert!(names(&[]).is_empty());
        assert!(names(&[Digest::sha256_of(b"")]).is_empty());
    }
}
