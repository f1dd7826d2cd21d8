//! The folders at the top of a data root or a bucket.

/// A folder at the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Originals, one folder per class.
    ExtractedAudio,
    /// One folder per stage.
    Tables,
    /// Rows that are not expected any more.
    Retired,
    /// What the engine knows.
    Index,
    /// Which files the tables and the index consist of, and these files under names that never change.
    Snapshots,
    /// Records of all runs.
    Runs,
    /// All models.
    Models,
    /// What people decided, and what was noted for them: entries are added, never replaced or removed.
    Journal,
    /// What is gone after a day: probes, uploads that are not checked yet.
    Temp,
    /// Results of jobs, one folder per job.
    Processed,
}

impl Area {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ExtractedAudio,
        Self::Tables,
        Self::Retired,
        Self::Index,
        Self::Snapshots,
        Self::Runs,
        Self::Models,
        Self::Journal,
        Self::Temp,
        Self::Processed,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExtractedAudio => "extracted_audio",
            Self::Tables => "tables",
            Self::Retired => "retired",
            Self::Index => "index",
            Self::Snapshots => "snapshots",
            Self::Runs => "runs",
            Self::Models => "models",
            Self::Journal => "journal",
            Self::Temp => "temp",
            Self::Processed => "processed",
        }
    }

    /// What lies in it, for people.
    pub fn about(self) -> &'static str {
        match self {
            Self::ExtractedAudio => "original recordings, one folder per class",
            Self::Tables => "tables of the stages",
            Self::Retired => "rows that are not expected any more",
            Self::Index => "what the engine knows",
            Self::Snapshots => "versions of the tables",
            Self::Runs => "records of runs",
            Self::Models => "models",
            Self::Journal => "corrected labels, history of models, removed recordings: entries are only added",
            Self::Temp => "what is gone after a day",
            Self::Processed => "results of jobs, gone after thirty days",
        }
    }

    /// After how many days its objects may be deleted by themselves; never where there is no number.
    pub fn expires_after_days(self) -> Option<u32> {
        match self {
            Self::Temp => Some(1),
            Self::Processed => Some(30),
            _ => None,
        }
    }

    /// The key of `name` in it.
    pub fn key(self, name: &str) -> String {
        format!("{}/{name}", self.name())
    }
}
