//! The `[model]` table: backbone and head, as written and with nothing left open.

use std::sync::LazyLock;

use pemm_data::Shape;
use serde::de::{Deserialize, Deserializer, MapAccess};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::backbones::BackboneKind;
use crate::error::{ExperimentError, Result};
use crate::facts::DataFacts;
use crate::heads::HeadKind;
use crate::kind::Kind;
use crate::method::{Parameter, Range};
use crate::parameters::{AlwaysWritten, Parameters, Value};
use crate::section::{self, Section};

/// The `[model]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Left out: `none` for the features of a pretrained network (those of a folder that `pemm embed`
    /// wrote, too), `mlp` for other vectors and for images with a side below 8, else `for_images`.
    pub backbone: Option<BackboneKind>,
    /// What images get where `backbone` is left out: by default `cnn`; the presets of the paper have
    /// `cnn8` here. It has no meaning beside a backbone, so checked experiments are without it.
    pub for_images: Option<BackboneKind>,
    /// Divide features by their norm.
    pub unit_norm: bool,
    /// Share of the features dropped in training, `[0, 0.95]`.
    pub dropout: f64,
    /// The head.
    pub head: HeadKind,
    /// Those of the backbone and of the head.
    pub parameters: Parameters,
    /// Safetensors file that the backbone starts from: of a run, or with torchvision's names; the
    /// head is drawn. Both networks of a run that trains two start from it.
    pub weights: Option<String>,
    /// SHA-256 of that file; left out, it is filled in.
    pub weights_sha256: Option<String>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            backbone: None,
            for_images: None,
            unit_norm: false,
            dropout: 0.0,
            head: HeadKind::Distance,
            parameters: Parameters::default(),
            weights: None,
            weights_sha256: None,
        }
    }
}

/// What a classifier is made of, with nothing left open.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPlan {
    /// The backbone.
    pub backbone: BackboneKind,
    /// Whether features are divided by their norm before the head (`paper-unit`).
    pub unit_norm: bool,
    /// Share of the features set to 0 in training, `[0, 0.95]`.
    pub dropout: f64,
    /// The head.
    pub head: HeadKind,
    /// Those of the backbone and of the head, every one filled in.
    pub parameters: Parameters,
}

/// Those of every backbone and every head.
static PARAMETERS: LazyLock<Vec<&'static Parameter>> =
    LazyLock::new(|| [BackboneKind::parameters(), HeadKind::parameters()].concat());

/// σ stands in every record, whatever the head; a width that there is not is null.
fn always() -> [AlwaysWritten; 2] {
    [("width", None), ("sigma", Some(Value::Number(1.0)))]
}

/// In the card of a model the width is a number, which backbones without one do not look at.
fn always_in_cards() -> [AlwaysWritten; 2] {
    [("width", Some(Value::Count(16))), ("sigma", Some(Value::Number(1.0)))]
}

impl ModelConfig {
    /// Fills in and checks.
    pub(crate) fn resolve(&mut self, facts: DataFacts, pretrained: bool) -> Result<ModelPlan> {
        let Shape { height, width: across, .. } = facts.shape;
        let side = height.min(across);
        let by_data = match facts.vectors || side < 8 {
            _ if pretrained => BackboneKind::None,
            true => BackboneKind::Mlp,
            false => self.for_images.unwrap_or(BackboneKind::Cnn),
        };
        self.for_images = None;
        let backbone = *self.backbone.get_or_insert(by_data);
        if let Some(smallest) = backbone.smallest_side()
            && (facts.vectors || side < smallest)
        {
            return Err(ExperimentError::setting(
                "model.backbone",
                format!(
                    "this network needs images of at least {smallest}×{smallest} pixels, these are \
                     {height}×{across}; use model.backbone = \"mlp\""
                ),
            ));
        }
        Range::within(0.0, 0.95).check("model.dropout", self.dropout)?;
        let methods = [("model.backbone", backbone.method()), ("model.head", self.head.method())];
        self.parameters.resolve("model", &methods, &always())?;
        Ok(ModelPlan {
            backbone,
            unit_norm: self.unit_norm,
            dropout: self.dropout,
            head: self.head,
            parameters: self.parameters.clone(),
        })
    }
}

impl ModelPlan {
    /// `backbone` and `head` with the defaults of their parameters, without unit norm and dropout.
    pub fn new(backbone: BackboneKind, head: HeadKind) -> Self {
        let parameters = Parameters::defaults(backbone.method());
        let mut plan = Self { backbone, unit_norm: false, dropout: 0.0, head, parameters };
        let methods = [("model.backbone", backbone.method()), ("model.head", head.method())];
        plan.parameters.resolve("model", &methods, &[]).expect("defaults are within their ranges");
        plan
    }

    /// With another value of the parameter `key`.
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.parameters.set(key, value);
        self
    }

    /// The width; 0 of a backbone that has none to choose.
    pub fn width(&self) -> usize {
        self.parameters.count("width").unwrap_or(0)
    }
}

impl Section for ModelConfig {
    const NAME: &'static str = "model";

    fn keys() -> &'static [&'static str] {
        static KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
            let mut keys = vec!["backbone", "for_images"];
            keys.extend(PARAMETERS.iter().map(|parameter| parameter.key));
            keys.extend(["unit_norm", "dropout", "head", "weights", "weights_sha256"]);
            keys
        });
        &KEYS
    }

    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        table: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "backbone" => self.backbone = table.next_value()?,
            "for_images" => self.for_images = table.next_value()?,
            "unit_norm" => self.unit_norm = table.next_value()?,
            "dropout" => self.dropout = table.next_value()?,
            "head" => self.head = table.next_value()?,
            "weights" => self.weights = table.next_value()?,
            "weights_sha256" => self.weights_sha256 = table.next_value()?,
            key => self.parameters.read(section::parameter(&PARAMETERS, key), table)?,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for ModelConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut config: Self = section::read(from)?;
        config.parameters.drop_idle(&[config.head.method()], &always());
        if config.backbone.is_some() {
            config.for_images = None;
        }
        Ok(config)
    }
}

impl Serialize for ModelConfig {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut table = to.serialize_struct("ModelConfig", Self::keys().len())?;
        table.serialize_field("backbone", &self.backbone)?;
        match &self.for_images {
            Some(backbone) => table.serialize_field("for_images", backbone)?,
            None => table.skip_field("for_images")?,
        }
        table.serialize_field("unit_norm", &self.unit_norm)?;
        table.serialize_field("dropout", &self.dropout)?;
        table.serialize_field("head", &self.head)?;
        let backbone = self.backbone.map(|backbone| backbone.method());
        let methods: Vec<_> = backbone.into_iter().chain([self.head.method()]).collect();
        self.parameters.write(&methods, &always(), &mut table)?;
        for (key, file) in [("weights", &self.weights), ("weights_sha256", &self.weights_sha256)] {
            match file {
                Some(file) => table.serialize_field(key, file)?,
                None => table.skip_field(key)?,
            }
        }
        table.end()
    }
}

/// As a card holds it: backbone, width, unit_norm, dropout, head, sigma, then what only some have.
impl Serialize for ModelPlan {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let first = always_in_cards();
        let mut table = to.serialize_struct("ModelPlan", 8)?;
        let mut rest = self.parameters.clone();
        let mut field = |key: &'static str, table: &mut S::SerializeStruct| {
            let always = first.iter().filter(|(known, _)| *known == key).cloned();
            rest.take(key).write(&[], &always.collect::<Vec<_>>(), table)
        };
        table.serialize_field("backbone", &self.backbone)?;
        field("width", &mut table)?;
        table.serialize_field("unit_norm", &self.unit_norm)?;
        table.serialize_field("dropout", &self.dropout)?;
        table.serialize_field("head", &self.head)?;
        field("sigma", &mut table)?;
        rest.write(&[self.backbone.method(), self.head.method()], &[], &mut table)?;
        table.end()
    }
}

impl<'de> Deserialize<'de> for ModelPlan {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        // A card has the keys of the table, but for the files; what is read is checked.
        let mut config: ModelConfig = section::read(from)?;
        let Some(backbone) = config.backbone else {
            return Err(D::Error::missing_field("backbone"));
        };
        if config.weights.is_some() || config.weights_sha256.is_some() {
            return Err(D::Error::unknown_field("weights", ModelConfig::keys()));
        }
        if config.for_images.is_some() {
            return Err(D::Error::unknown_field("for_images", ModelConfig::keys()));
        }
        let methods = [("model.backbone", backbone.method()), ("model.head", config.head.method())];
        config
            .parameters
            .resolve("model", &methods, &always_in_cards())
            .map_err(D::Error::custom)?;
        let ModelConfig { unit_norm, dropout, head, parameters, .. } = config;
        Range::within(0.0, 0.95).check("model.dropout", dropout).map_err(D::Error::custom)?;
        Ok(Self { backbone, unit_norm, dropout, head, parameters })
    }
}
