//! What `copy` takes on the command line.

use super::*;

fn copy(source: &str, destinations: &[&str]) -> Result<Request, String> {
    let destinations: Vec<String> = destinations.iter().map(|it| (*it).to_owned()).collect();
    read_unprinted(&[], &[], |inputs| {
        inputs.named = Some(Named {
            source: source.to_owned(),
            destinations,
        });
    })
}

#[test]
fn one_image_gets_all_the_tags_of_a_destination_wherever_it_comes_from() {
    let request = copy("a.io/x:v1", &["b.io/x:a,b", "c.io/x"]).unwrap();
    assert_eq!(
        copies(&request, ""),
        ["a.io/x v1 -> b.io/x a b", "a.io/x v1 -> c.io/x v1"]
    );
    let digest = format!("sha256:{}", "0a".repeat(32));
    let request = copy(&format!("a.io/x@{digest}"), &["b.io/x:a,b"]).unwrap();
    assert_eq!(
        copies(&request, ""),
        [format!("a.io/x {digest} -> b.io/x a b")]
    );
    let request = copy("docker:x:v1", &["b.io/x:a,b", "c.io/x"]).unwrap();
    let destinations = request.local.unwrap().destinations.into_iter();
    let destinations: Vec<String> = destinations
        .map(|(repository, tags)| format!("{repository} {}", tags.len()))
        .collect();
    assert_eq!(destinations, ["b.io/x 2", "c.io/x 1"]);
    // Of two images, it does not say which.
    let said = copy("a.io/x:v1,v2", &["b.io/x:a,b,c"]).unwrap_err();
    assert!(said.contains("does not name as many"), "{said}");
}

#[test]
fn what_is_in_no_registry_has_no_name_for_a_template() {
    let said = copy("docker:x:v1", &["b.io/{name}"]).unwrap_err();
    assert_eq!(
        said,
        "a destination: `b.io/{name}`: a part in braces is of the source's name in a registry, and this source is in none; hint: write the name"
    );
}
