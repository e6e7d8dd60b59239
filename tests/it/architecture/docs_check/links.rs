//! Links between pages and into the sources resolve.

use super::page;
use crate::repo;

#[test]
fn links_resolve() {
    let pages = page::all();
    let mut broken = Vec::new();
    for page in &pages {
        for (line, target) in page.links() {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let path = if path.is_empty() {
                page.path.clone()
            } else {
                normal(folder, path)
            };
            let found = repo::root().join(&path).exists();
            let other = pages.iter().find(|other| other.path == path);
            let anchored = anchor.is_empty()
                || other.is_some_and(|other| other.anchors().iter().any(|a| a == anchor));
            if !found || !anchored {
                broken.push(format!("{}:{line}: {target}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// A relative path from a folder, without `..`.
fn normal(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Every page of `docs/` is reachable from the README.
#[test]
fn no_page_is_lost() {
    let pages = page::all();
    let mut seen = vec!["README.md".to_owned()];
    let mut next = 0;
    while next < seen.len() {
        let Some(page) = pages.iter().find(|page| page.path == seen[next]) else {
            next += 1;
            continue;
        };
        let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (_, target) in page.links() {
            let path = normal(folder, target.split('#').next().unwrap_or_default());
            if !seen.contains(&path) {
                seen.push(path);
            }
        }
        next += 1;
    }
    for page in &pages {
        assert!(
            seen.contains(&page.path),
            "no link leads from the README to {}",
            page.path
        );
    }
}
