//! Writing a graph: values by name, constants, operators.

use prost::Message;

use super::proto;

/// Version of the operators. Runtimes read all older ones, too; in version 18 `ReduceMean` takes its axes in another way.
const OPSET: i64 = 17;

/// Version of the format, the one that belongs to opset 17 (ONNX 1.12, 2022).
const IR_VERSION: i64 = 8;

/// `TensorProto.DataType`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Element {
    F32 = 1,
    I64 = 7,
    Text = 8,
    F16 = 10,
    F64 = 11,
}

/// `AttributeProto.AttributeType`.
#[derive(Debug, Clone, Copy)]
enum AttributeKind {
    Int = 2,
    Ints = 7,
}

/// An extent of an input or output.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extent {
    Fixed(usize),
    /// Known when the graph runs.
    Named(&'static str),
}

/// A value of the graph, by its name.
#[derive(Debug, Clone)]
pub(super) struct Value(String);

/// An argument of an operator that is no value.
pub(super) fn int(name: &str, value: i64) -> proto::Attribute {
    proto::Attribute { name: name.to_owned(), i: Some(value), kind: AttributeKind::Int as i32, ..Default::default() }
}

/// An argument of an operator that is a list.
pub(super) fn ints(name: &str, values: &[i64]) -> proto::Attribute {
    let ints = values.to_vec();
    proto::Attribute { name: name.to_owned(), ints, kind: AttributeKind::Ints as i32, ..Default::default() }
}

/// A graph in the making. Every name is used once; an operator and its result have the same.
#[derive(Debug, Default)]
pub(super) struct Graph(proto::GraphMessage);

impl Graph {
    pub(super) fn new(name: &str) -> Self {
        Self(proto::GraphMessage { name: name.to_owned(), ..Default::default() })
    }

    pub(super) fn input(&mut self, name: &str, element: Element, extents: &[Extent]) -> Value {
        self.0.input.push(info(name, element, extents));
        Value(name.to_owned())
    }

    /// Hands a value out under its name.
    pub(super) fn output(&mut self, value: &Value, element: Element, extents: &[Extent]) {
        self.0.output.push(info(&value.0, element, extents));
    }

    pub(super) fn f32s(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Value {
        self.constant(name, Element::F32, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    pub(super) fn f64s(&mut self, name: &str, shape: &[usize], values: &[f64]) -> Value {
        self.constant(name, Element::F64, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    pub(super) fn i64s(&mut self, name: &str, shape: &[usize], values: &[i64]) -> Value {
        self.constant(name, Element::I64, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    pub(super) fn texts(&mut self, name: &str, values: &[String]) -> Value {
        self.0.initializer.push(proto::Tensor {
            dims: vec![values.len() as i64],
            data_type: Element::Text as i32,
            string_data: values.iter().map(|text| text.clone().into_bytes()).collect(),
            name: name.to_owned(),
            raw_data: None,
        });
        Value(name.to_owned())
    }

    fn constant(&mut self, name: &str, element: Element, shape: &[usize], bytes: Vec<u8>) -> Value {
        self.0.initializer.push(proto::Tensor {
            dims: shape.iter().map(|&extent| extent as i64).collect(),
            data_type: element as i32,
            string_data: Vec::new(),
            name: name.to_owned(),
            raw_data: Some(bytes),
        });
        Value(name.to_owned())
    }

    /// Adds an operator (`op`); its one result.
    pub(super) fn node(&mut self, op: &str, name: &str, inputs: &[&Value], arguments: &[proto::Attribute]) -> Value {
        self.0.node.push(proto::Node {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute: arguments.to_vec(),
        });
        Value(name.to_owned())
    }

    /// Adds a conversion of numbers.
    pub(super) fn cast(&mut self, name: &str, value: &Value, to: Element) -> Value {
        self.node("Cast", name, &[value], &[int("to", to as i64)])
    }

    /// The bytes of a model file.
    pub(super) fn into_model(self, metadata: Vec<proto::Entry>) -> Vec<u8> {
        let model = proto::Model {
            ir_version: IR_VERSION,
            producer_name: "ecosight".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.0),
            opset_import: vec![proto::OperatorSet { version: OPSET }],
            metadata_props: metadata,
        };
        model.encode_to_vec()
    }
}

fn info(name: &str, element: Element, extents: &[Extent]) -> proto::ValueInfo {
    let dimension = |extent: &Extent| match *extent {
        Extent::Fixed(extent) => proto::Dimension { dim_value: Some(extent as i64), dim_param: None },
        Extent::Named(name) => proto::Dimension { dim_value: None, dim_param: Some(name.to_owned()) },
    };
    let shape = Some(proto::Shape { dim: extents.iter().map(dimension).collect() });
    let tensor_type = Some(proto::TensorType { elem_type: element as i32, shape });
    proto::ValueInfo { name: name.to_owned(), kind: Some(proto::Type { tensor_type }) }
}
