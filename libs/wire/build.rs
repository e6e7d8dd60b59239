//! Compiles `proto/` without a protoc on the machine and writes the descriptor set for reflection.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let descriptors = protox::compile(&files, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("autopack.binpb"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .bytes(".autopack.registry.v1")
        .compile_fds(descriptors)?;
    echo();
    Ok(())
}

/// A service that only answers what it is sent: what a call costs without a registry behind it. It is not
/// part of the contract, so it stands here and not in `proto/`.
fn echo() {
    use tonic_build::manual::{Builder, Method, Service};
    let method = Method::builder()
        .name("echo")
        .route_name("Echo")
        .comment("Answers with the request.")
        .input_type("crate::types::Fault")
        .output_type("crate::types::Fault")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let service = Service::builder()
        .name("Echo")
        .package("autopack.echo")
        .comment("Answers what it is sent.")
        .method(method)
        .build();
    Builder::new().compile(&[service]);
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
