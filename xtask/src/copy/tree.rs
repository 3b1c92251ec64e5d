//! An image with everything below it, as far as somebody wants to read it. Indexes may list indexes: each manifest is
//! visited once, by its digest, level by level and without recursion, within the limits of `limits.rs`.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::error::SourceError;
use super::limits::{DEPTH, ImageCount, MANIFEST_READS, within, within_visits};
use crate::oci::{Content, Descriptor, Digest, Manifest, media_type};
use crate::registry::Error;

/// Manifests that were read, children before parents.
pub(super) struct Tree(Vec<Node>);

/// A manifest with its parsed view.
pub(super) struct Node {
    pub manifest: Manifest,
    pub content: Content,
}

impl Tree {
    /// Reads what is below `root`; `fetch` gives a manifest, or `None` if neither it nor what is below it is wanted.
    pub async fn read<F, E>(root: Manifest, fetch: impl Fn(Descriptor) -> F) -> Result<Tree, E>
    where
        F: Future<Output = Result<Option<Manifest>, E>>,
        E: From<SourceError>,
    {
        let mut count = ImageCount::default();
        let mut seen = HashSet::from([root.digest().clone()]);
        let mut nodes: Vec<Node> = Vec::new();
        let mut level = vec![root];
        for depth in 0.. {
            let mut below = Vec::new();
            for manifest in level {
                let node = Node::parse(manifest)?;
                count
                    .add_content(&node.content)
                    .map_err(SourceError::from)?;
                let new = node.manifests().filter(|it| seen.insert(it.digest.clone()));
                below.extend(new.cloned());
                nodes.push(node);
            }
            if below.is_empty() {
                break;
            }
            within("indexes inside each other", depth + 1, DEPTH).map_err(SourceError::from)?;
            let fetched = stream::iter(below).map(&fetch).buffered(MANIFEST_READS);
            let mut fetched = std::pin::pin!(fetched);
            level = Vec::new();
            while let Some(manifest) = fetched.try_next().await? {
                if let Some(manifest) = manifest {
                    count.add(&manifest).map_err(SourceError::from)?;
                    level.push(manifest);
                }
            }
        }
        let tree = Tree(children_first(nodes));
        let visits = tree.visits();
        within_visits(visits).map_err(SourceError::from)?;
        Ok(tree)
    }

    /// How often somebody visits a manifest who follows each entry, as registries and engines do.
    fn visits(&self) -> usize {
        let mut below: HashMap<&Digest, usize> = HashMap::new();
        let mut visits = 0;
        for node in self.nodes() {
            let children = node
                .manifests()
                .map(|it| below.get(&it.digest).unwrap_or(&1));
            visits = children.fold(1, |sum: usize, below| sum.saturating_add(*below));
            below.insert(node.manifest.digest(), visits);
        }
        visits
    }

    /// Children before parents; the last is the root.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.0.iter()
    }

    /// Each blob that the manifests list, once.
    pub fn blobs(&self) -> Vec<Descriptor> {
        let mut seen = HashSet::new();
        let blobs = self.nodes().flat_map(Node::blobs);
        blobs
            .filter(|blob| seen.insert(&blob.digest))
            .cloned()
            .collect()
    }

    /// As [`Self::nodes`].
    pub fn into_manifests(self) -> Vec<Manifest> {
        self.0.into_iter().map(|node| node.manifest).collect()
    }
}

impl Node {
    fn parse(manifest: Manifest) -> Result<Node, SourceError> {
        let content = manifest.content().map_err(Error::from)?;
        Ok(Node { manifest, content })
    }

    fn children(&self) -> impl Iterator<Item = &Descriptor> {
        let (children, config) = match &self.content {
            Content::Index(index) => (&index.manifests, None),
            Content::Image(image) => (&image.layers, Some(&image.config)),
            Content::Artifact(artifact) => (&artifact.blobs, None),
        };
        children.iter().chain(config)
    }

    fn manifests(&self) -> impl Iterator<Item = &Descriptor> {
        self.children().filter(|it| self.is_manifest(it))
    }

    fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.children().filter(|it| !self.is_manifest(it))
    }

    /// The media type decides, not the parent: BuildKit's cache is an index that lists layers. What an index lists
    /// without one is a manifest, and so is what some registries call by a general name.
    fn is_manifest(&self, child: &Descriptor) -> bool {
        let kind = &*child.media_type;
        let is_general =
            kind.is_empty() || kind == "application/json" || kind.contains(".manifest.");
        media_type::is_manifest(kind) || is_general && matches!(self.content, Content::Index(_))
    }
}

/// The nodes, of which the first is the root, each after all that it lists.
fn children_first(nodes: Vec<Node>) -> Vec<Node> {
    let places: HashMap<Digest, usize> = nodes
        .iter()
        .enumerate()
        .map(|(place, node)| (node.manifest.digest().clone(), place))
        .collect();
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let mut begun = vec![false; nodes.len()];
    let mut ordered = Vec::with_capacity(nodes.len());
    // A place is met once to begin it, and again when everything below it is done.
    let mut stack = vec![0];
    while let Some(&place) = stack.last() {
        match &nodes[place] {
            Some(node) if !begun[place] => {
                begun[place] = true;
                let below = node.manifests().filter_map(|it| places.get(&it.digest));
                stack.extend(
                    below
                        .filter(|it| !begun[**it])
                        .collect::<Vec<_>>()
                        .into_iter()
                        .rev(),
                );
            }
            _ => {
                stack.pop();
                ordered.extend(nodes[place].take());
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn index(children: &[&Manifest]) -> Manifest {
        let children: Vec<_> = children.iter().map(|it| it.descriptor()).collect();
        let json = json!({"schemaVersion": 2, "manifests": children});
        Manifest::new(media_type::OCI_INDEX, json.to_string().into())
    }

    fn leaf(n: usize) -> Manifest {
        let config = Descriptor::new("c", Digest::sha256_of(n.to_string().as_bytes()), 1);
        let json = json!({"schemaVersion": 2, "config": config, "layers": [config, config]});
        Manifest::new(media_type::OCI_MANIFEST, json.to_string().into())
    }

    async fn read(all: &[Manifest]) -> Result<Tree, SourceError> {
        let by_digest: HashMap<_, _> = all.iter().map(|it| (it.digest().clone(), it)).collect();
        let asked = std::sync::Mutex::new(HashSet::new());
        let fetch = |child: Descriptor| {
            assert!(
                asked.lock().unwrap().insert(child.digest.clone()),
                "asked once"
            );
            let found = by_digest.get(&child.digest).map(|it| (*it).clone());
            async move { Ok(found) }
        };
        Tree::read(all.last().unwrap().clone(), fetch).await
    }

    #[tokio::test]
    async fn children_come_first_also_where_one_is_listed_on_several_levels() {
        let image = leaf(1);
        let inner = index(&[&image]);
        let middle = index(&[&inner]);
        let root = index(&[&image, &inner, &middle]);
        let all = [image.clone(), inner, middle, root];
        let tree = read(&all).await.unwrap();
        assert_eq!(tree.blobs().len(), 1);
        assert_eq!(tree.into_manifests(), all);
    }

    #[tokio::test]
    async fn indexes_that_list_each_other_many_times_are_read_once() {
        let mut all = vec![leaf(1)];
        for _ in 0..2 {
            let last = all.last().unwrap().clone();
            all.push(index(&[&last; 50]));
        }
        assert_eq!(read(&all).await.unwrap().nodes().count(), 3);
        // A registry that follows each entry would never come back.
        for _ in 0..20 {
            let last = all.last().unwrap().clone();
            all.push(index(&[&last; 50]));
        }
        let error = read(&all).await.err().unwrap().to_string();
        assert!(
            error.contains("10000 manifests, one for each entry"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_is_too_much_is_named() {
        let mut deep = vec![leaf(1)];
        for _ in 0..=DEPTH {
            deep.push(index(&[deep.last().unwrap()]));
        }
        let wide: Vec<Manifest> = (0..10_001).map(leaf).collect();
        let wide = index(&wide.iter().collect::<Vec<_>>());
        let blob = |size| Descriptor::new("l", Digest::sha256_of(b"l"), size);
        let image = |layers: Vec<Descriptor>| {
            let json = json!({"config": blob(1), "layers": layers});
            Manifest::new(media_type::OCI_MANIFEST, json.to_string().into())
        };
        for (all, words) in [
            (deep, "32 indexes inside each other"),
            (vec![wide], "10000 manifests in one index"),
            (vec![image(vec![blob(1); 10_001])], "10000 layers"),
            (
                vec![image(vec![blob((1 << 44) + 1)])],
                "claims to have 17592186044417 bytes",
            ),
        ] {
            let error = read(&all).await.err().unwrap().to_string();
            assert!(error.contains(words) && error.contains("limit"), "{error}");
        }
    }
}
