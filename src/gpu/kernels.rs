//! The kernels: which files make each, and the constants it is specialised by.

use frontdesk_engine::{Error, ErrorKind, Result};
use minijinja::Environment;
use std::collections::BTreeMap;

/// A kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    Embed,
    AddPositions,
    ProjectOne,
    ProjectMany,
    ProjectAlone,
    ProjectPairs,
    Quantise,
    RmsNorm,
    LayerNorm,
    WriteCache,
    Attention,
    AttentionAlone,
    JoinSplits,
    Gate,
    CopyRows,
    Pool,
    TopK,
    Cut,
    Draw,
    Choose,
}

/// A constant's name, and whether it is a truth value rather than a whole number.
pub(crate) type Constant = (&'static str, bool);

/// Most constants of a kernel.
pub(crate) const MOST_CONSTANTS: usize = 13;

/// What a kernel is made of.
pub(crate) struct Recipe {
    /// Parts of a matrix that it reads.
    parts: u32,
    preambles: &'static [&'static str],
    source: &'static str,
    constants: &'static [Constant],
}

const WEIGHTS: &str = include_str!("shaders/weights.wgsl");
const PART: &str = include_str!("shaders/part.wgsl");
const ACTIVATION: &str = include_str!("shaders/activation.wgsl");
const CURSOR: &str = include_str!("shaders/cursor.wgsl");
const ROTATE: &str = include_str!("shaders/rotate.wgsl");
const SEVERAL: &str = include_str!("shaders/several.wgsl");
const SEEN: &str = include_str!("shaders/seen.wgsl");
const CHOICE: &str = include_str!("shaders/choice.wgsl");
const NOISE: &str = include_str!("shaders/noise.wgsl");

const ATTENTION: &[Constant] = &[
    ("HEADS", false),
    ("KV_HEADS", false),
    ("DIMENSIONS", false),
    ("GROUP", false),
    ("SPLITS", false),
    ("WINDOW", false),
    ("CAUSAL", true),
    ("NORM", true),
    ("ROPE", true),
];

/// Of `project_pairs`; `project_alone` has the first five.
const ALONE: &[Constant] = &[
    ("FORM_0", false),
    ("MODE", false),
    ("ACTIVATION", false),
    ("TILE", false),
    ("ROWS", false),
    ("FOURS", true),
    ("SUBGROUPS", true),
];

impl Kernel {
    pub(crate) fn recipe(self) -> Recipe {
        match self {
            Kernel::Embed => Recipe {
                parts: 3,
                preambles: &[CURSOR],
                source: include_str!("shaders/embed.wgsl"),
                constants: &[
                    ("COLUMNS", false),
                    ("FORM_0", false),
                    ("FORM_1", false),
                    ("FORM_2", false),
                ],
            },
            Kernel::AddPositions => Recipe {
                parts: 1,
                preambles: &[CURSOR],
                source: include_str!("shaders/add_positions.wgsl"),
                constants: &[("COLUMNS", false), ("FORM_0", false)],
            },
            Kernel::ProjectOne => Recipe {
                parts: 3,
                preambles: &[ACTIVATION],
                source: include_str!("shaders/project_one.wgsl"),
                constants: &[
                    ("COLUMNS", false),
                    ("FORM_0", false),
                    ("FORM_1", false),
                    ("FORM_2", false),
                    ("PARTS", false),
                    ("MODE", false),
                    ("NORM", true),
                    ("UPDATE", true),
                    ("ACTIVATION", false),
                    ("SLOTS", false),
                    ("LANES", false),
                    ("ROWS", false),
                    ("SUBGROUPS", true),
                ],
            },
            Kernel::ProjectMany => Recipe {
                parts: 1,
                preambles: &[ACTIVATION, SEVERAL],
                source: include_str!("shaders/project_many.wgsl"),
                constants: &[
                    ("FORM_0", false),
                    ("MODE", false),
                    ("ACTIVATION", false),
                    ("TILE", false),
                    ("COLUMNS", false),
                    ("HALVES_KEPT", true),
                ],
            },
            Kernel::ProjectAlone => Recipe {
                parts: 1,
                preambles: &[ACTIVATION, SEVERAL],
                source: include_str!("shaders/project_alone.wgsl"),
                constants: ALONE.split_at(5).0,
            },
            Kernel::ProjectPairs => Recipe {
                parts: 1,
                preambles: &[ACTIVATION, SEVERAL],
                source: include_str!("shaders/project_pairs.wgsl"),
                constants: ALONE,
            },
            Kernel::Quantise => Recipe {
                parts: 0,
                preambles: &[],
                source: include_str!("shaders/quantise.wgsl"),
                constants: &[("BLOCKS", false)],
            },
            Kernel::RmsNorm => Recipe {
                parts: 0,
                preambles: &[],
                source: include_str!("shaders/rms_norm.wgsl"),
                constants: &[("WIDTH", false), ("PICK", true), ("ADD", true), ("ALONE", true)],
            },
            Kernel::LayerNorm => Recipe {
                parts: 0,
                preambles: &[],
                source: include_str!("shaders/layer_norm.wgsl"),
                constants: &[("WIDTH", false)],
            },
            Kernel::WriteCache => Recipe {
                parts: 0,
                preambles: &[CURSOR, ROTATE],
                source: include_str!("shaders/write_cache.wgsl"),
                constants: &[
                    ("HEADS", false),
                    ("DIMENSIONS", false),
                    ("NORM", true),
                    ("ROPE", true),
                ],
            },
            Kernel::Attention => Recipe {
                parts: 0,
                preambles: &[CURSOR, ROTATE, SEEN],
                source: include_str!("shaders/attention.wgsl"),
                constants: ATTENTION,
            },
            Kernel::AttentionAlone => Recipe {
                parts: 0,
                preambles: &[CURSOR, ROTATE, SEEN],
                source: include_str!("shaders/attention_alone.wgsl"),
                constants: ATTENTION,
            },
            Kernel::JoinSplits => Recipe {
                parts: 0,
                preambles: &[],
                source: include_str!("shaders/join_splits.wgsl"),
                constants: &[("DIMENSIONS", false), ("SPLITS", false)],
            },
            Kernel::Gate => Recipe {
                parts: 0,
                preambles: &[ACTIVATION],
                source: include_str!("shaders/gate.wgsl"),
                constants: &[("ACTIVATION", false)],
            },
            Kernel::CopyRows => Recipe {
                parts: 0,
                preambles: &[],
                source: include_str!("shaders/copy_rows.wgsl"),
                constants: &[],
            },
            Kernel::Pool => Recipe {
                parts: 0,
                preambles: &[],
                source: include_str!("shaders/pool.wgsl"),
                constants: &[("WIDTH", false), ("POOLING", false)],
            },
            Kernel::TopK => Recipe {
                parts: 0,
                preambles: &[CHOICE],
                source: include_str!("shaders/top_k.wgsl"),
                constants: &[("VOCABULARY", false), ("MOST", false), ("PENALTY", true)],
            },
            Kernel::Cut => Recipe {
                parts: 0,
                preambles: &[CHOICE, NOISE],
                source: include_str!("shaders/cut.wgsl"),
                constants: &[("VOCABULARY", false)],
            },
            Kernel::Draw => Recipe {
                parts: 0,
                preambles: &[CHOICE, NOISE],
                source: include_str!("shaders/draw.wgsl"),
                constants: &[("VOCABULARY", false)],
            },
            Kernel::Choose => Recipe {
                parts: 0,
                preambles: &[CHOICE, CURSOR, NOISE],
                source: include_str!("shaders/choose.wgsl"),
                constants: &[
                    ("BLOCKS_OF_LOGITS", false),
                    ("MOST", false),
                    ("ADVANCE", false),
                    ("DRAWS", false),
                    ("PENALTY", true),
                ],
            },
        }
    }
}

impl Recipe {
    /// The WGSL of a kernel whose constants have these values. The shaders are templates: what they repeat
    /// stands in loops over numbers that are known here.
    ///
    /// # Errors
    /// `Backend` for a shader that is no template.
    pub(crate) fn wgsl(&self, values: &[u32; MOST_CONSTANTS]) -> Result<String> {
        let uses = |wanted| {
            self.constants
                .iter()
                .zip(values)
                .any(|((name, _), value)| *name == wanted && *value != 0)
        };
        let mut text = String::new();
        if uses("HALVES_KEPT") {
            text += "enable f16;\n";
        }
        // Natively they need no word, and none is known.
        if uses("SUBGROUPS") && cfg!(target_family = "wasm") {
            text += "enable subgroups;\n";
        }
        for ((name, is_truth), value) in self.constants.iter().zip(values) {
            text += &match is_truth {
                true => format!("const {name} = {};\n", *value != 0),
                false => format!("const {name} = {value}u;\n"),
            };
        }
        let mut template = String::new();
        if self.parts > 0 {
            template += WEIGHTS;
            template += PART;
        }
        self.preambles.iter().for_each(|preamble| template += preamble);
        template += self.source;
        let mut known: BTreeMap<&str, u32> =
            self.constants.iter().map(|(name, _)| *name).zip(values.iter().copied()).collect();
        known.insert("parts", self.parts);
        let environment = Environment::new();
        let rendered = environment.render_str(&template, &known).map_err(|cause| {
            Error::new(ErrorKind::Backend, "a shader is no template").with_source(cause.to_string())
        })?;
        Ok(text + &rendered)
    }
}
