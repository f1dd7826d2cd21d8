//! Embedders by name and by identity.

use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::embedder::{Embedder, EmbedderId, Precision};
use crate::logmel::LogMelEmbedder;
use crate::weights::WeightsCache;
use crate::yamnet::YamnetEmbedder;

/// The embedders that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbedderName {
    /// Google's AudioSet network; 1024 values per 0.96 s; needs weights.
    Yamnet,
    /// Statistics and modulation of the log-mel bands; needs nothing.
    Logmel,
}

impl EmbedderName {
    /// As in the pipeline file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Yamnet => "yamnet",
            Self::Logmel => "logmel",
        }
    }

    /// Whether [`open_embedder`] would find the weights; reads none.
    pub fn check(self, cache: &WeightsCache) -> Result<(), ModelError> {
        match self {
            Self::Logmel => Ok(()),
            Self::Yamnet if cache.current()?.is_some() => Ok(()),
            Self::Yamnet => Err(ModelError::MissingWeights { embedder: self.word().to_owned() }),
        }
    }
}

/// The embedder `name` with the weights that are current in `cache`.
pub fn open_embedder(name: EmbedderName, cache: &WeightsCache) -> Result<Box<dyn Embedder>, ModelError> {
    match name {
        EmbedderName::Logmel => Ok(Box::new(LogMelEmbedder::new())),
        EmbedderName::Yamnet => {
            let missing = || ModelError::MissingWeights { embedder: name.word().to_owned() };
            Ok(Box::new(YamnetEmbedder::load(&cache.load_current()?.ok_or_else(missing)?, Precision::F32)))
        }
    }
}

/// The very embedder that `id` names, or an error: no other may stand in for it.
pub fn open_identity(id: &EmbedderId, cache: &WeightsCache) -> Result<Box<dyn Embedder>, ModelError> {
    let other = |found| Err(ModelError::OtherEmbedder { wanted: id.clone(), found });
    let embedder: Box<dyn Embedder> = match (id.name.as_str(), &id.weights) {
        ("logmel", None) => Box::new(LogMelEmbedder::new()),
        ("yamnet", Some(hash)) => {
            let records = cache.list()?;
            let Some(record) = records.iter().find(|record| record.content_hash.as_str() == hash) else {
                return other(None);
            };
            Box::new(YamnetEmbedder::load(&cache.load(&record.content_hash)?, id.precision))
        }
        _ => return other(None),
    };
    if embedder.id() == id { Ok(embedder) } else { other(Some(embedder.id().clone())) }
}
