//! A Piper voice as a folder with a manifest: loaded when everything is as the manifest says, refused with what to do otherwise.

use std::fs;
use std::path::Path;

use secretary::engine::Language;
use secretary::engine::onnx::OnnxRuntime;
use secretary::engine::tts::{Tts, TtsConfig, VitsConfig, VoiceConfig, VoiceReport};
use sha2::{Digest, Sha256};

use crate::support::speech::models;

const GRAPH: &str = "en_US-joe-medium.onnx";
const DESCRIPTION: &str = "en_US-joe-medium.onnx.json";

fn sha256(file: &Path) -> String {
    Sha256::digest(fs::read(file).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The folder of a bundle, and its manifest.
fn bundle(folder: &Path) -> String {
    for file in [GRAPH, DESCRIPTION] {
        fs::copy(models().join(file), folder.join(file)).unwrap();
    }
    let manifest = format!(
        "kind = \"vits\"\nname = \"Joe\"\nlicence = \"CC0-1.0\"\ncommercial_use = true\nlanguages = [\"en\"]\n\
         sample_rate_hz = 22050\n\
         [graph]\nfile = \"{GRAPH}\"\nsha256 = \"{}\"\n[description]\nfile = \"{DESCRIPTION}\"\nsha256 = \"{}\"\n\
         [dimensions]\nspeakers = 1\nphonemes = 256\n[sampling]\nlength_scale = 1.1\n",
        sha256(&folder.join(GRAPH)),
        sha256(&folder.join(DESCRIPTION)),
    );
    fs::write(folder.join("manifest.toml"), &manifest).unwrap();
    manifest
}

fn load(config: VitsConfig) -> VoiceReport {
    let onnx = OnnxRuntime::load(&models().join("libonnxruntime.so")).unwrap();
    let voices = vec![VoiceConfig::Vits(config)];
    let tts = Tts::start(&TtsConfig { voices, ..TtsConfig::default() }, &onnx).unwrap();
    tts.voices()[0].clone()
}

#[test]
fn a_bundle_speaks_and_tells_its_licence() {
    let folder = tempfile::tempdir().unwrap();
    bundle(folder.path());
    let config = VitsConfig { name: Some("joe".into()), ..VitsConfig::new(Language::En, folder.path().to_owned()) };
    let report = load(config);
    assert_eq!((report.problem, report.name.as_str()), (None, "joe"), "it has said a sentence");
    assert_eq!((report.ability.licence.as_str(), report.ability.commercial_use), ("CC0-1.0", Some(true)));
}

#[test]
fn a_bundle_that_is_not_as_it_says_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = bundle(folder.path());
    let graph_sum = sha256(&folder.path().join(GRAPH));
    for (from, to, expected) in [
        ("\"vits\"", "\"xtts\"", "unknown variant `xtts`"),
        (graph_sum.as_str(), "00", "en_US-joe-medium.onnx has the sha256"),
        ("file = \"en_US-joe-medium.onnx\"", "file = \"../joe.onnx\"", "expected a file of this folder"),
        ("22050", "16000", "sample_rate_hz = 16000, but its description has 22050"),
        ("[\"en\"]", "[\"ru\"]", "but the voice is configured for en"),
        ("speakers = 1", "speakers = 4", "speakers = 4, but its description has 1"),
        ("phonemes = 256", "phonemes = 100", "phonemes = 100, but its description has the number"),
        ("length_scale = 1.1", "length_scale = 9.0", "length_scale = 9, expected 0.25 to 4"),
        ("commercial_use = true", "commercial_use = false", "accept_licence = \"CC0-1.0\""),
        ("name = \"Joe\"\n", "", "missing field `name`"),
    ] {
        assert!(manifest.contains(from), "{from}");
        fs::write(folder.path().join("manifest.toml"), manifest.replace(from, to)).unwrap();
        let problem = load(VitsConfig::new(Language::En, folder.path().to_owned())).problem.expect(expected);
        println!("{problem}");
        assert!(problem.contains(expected), "{problem}");
    }
    fs::write(folder.path().join("manifest.toml"), manifest.replace("= true", "= false")).unwrap();
    let accepted = Some("CC0-1.0".to_owned());
    let config = VitsConfig { accept_licence: accepted, ..VitsConfig::new(Language::En, folder.path().to_owned()) };
    assert_eq!(load(config).problem, None);
}

#[test]
fn a_graph_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("voice.onnx");
    fs::copy(models().join("silero_vad.onnx"), &model).unwrap();
    let problem = || load(VitsConfig::new(Language::En, model.clone())).problem.unwrap();
    assert!(problem().contains("voice.onnx.json") && problem().contains("it belongs to the model"), "{}", problem());
    fs::copy(models().join(DESCRIPTION), folder.path().join("voice.onnx.json")).unwrap();
    println!("{}", problem());
    assert!(problem().contains("it is not a Piper voice") && problem().contains("has the input input f32"));
}
