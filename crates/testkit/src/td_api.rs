//! TDLib's schema, as tdlib-rs ships it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

/// How deep objects are nested within the ones that [`TdApi::objects`] returns.
const DEPTH: usize = 3;

/// The types and methods of `td_api.tl`.
pub struct TdApi {
    types: Vec<TdDefinition>,
    methods: Vec<TdDefinition>,
    /// Places in `types` of a class's types.
    classes: HashMap<String, Vec<usize>>,
}

/// A type, or a method with its parameters.
#[derive(Clone, Debug)]
pub struct TdDefinition {
    /// TDLib's name, such as `user` or `getMe`.
    pub name: String,
    /// Names and types of the fields, such as `user_id` and `int53`.
    pub fields: Vec<(String, String)>,
    /// The class of the type, or of the method's answer.
    pub class: String,
}

impl TdApi {
    /// Reads the schema that belongs to the tdlib-rs in the lock file.
    ///
    /// # Panics
    ///
    /// Cargo does not know where tdlib-rs is, or the schema has another form.
    pub fn load() -> Self {
        let path = package_directory("tdlib-rs").map(|directory| directory.join("tl/api.tl"));
        let text = path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let Some((types, methods)) = text.split_once("---functions---") else {
            panic!("tdlib-rs has no readable tl/api.tl");
        };
        let [types, methods] = [types, methods].map(|part| part.lines().filter_map(read).collect());
        let mut api = Self { types, methods, classes: HashMap::new() };
        for (place, definition) in api.types.iter().enumerate() {
            api.classes.entry(definition.class.clone()).or_default().push(place);
        }
        api
    }

    /// All types.
    pub fn types(&self) -> &[TdDefinition] {
        &self.types
    }

    /// All methods.
    pub fn methods(&self) -> &[TdDefinition] {
        &self.methods
    }

    /// The class of a method's answer.
    ///
    /// # Panics
    ///
    /// There is no such method.
    pub fn answer_of(&self, method: &str) -> &str {
        let found = self.methods.iter().find(|definition| definition.name == method);
        &found.unwrap_or_else(|| panic!("no method {method}")).class
    }

    /// Objects of a type, or of every type of a class: with all objects in it null, and with each of
    /// them in each of its own forms. Lists have each form once, and a null. An object of an unknown
    /// type is among the forms of a class.
    ///
    /// # Panics
    ///
    /// There is no such type or class.
    pub fn objects(&self, name: &str) -> Vec<Value> {
        if let Some(definition) = self.types.iter().find(|definition| definition.name == name) {
            return self.forms(definition, DEPTH);
        }
        let types = self.classes.get(name).unwrap_or_else(|| panic!("no type or class {name}"));
        types.iter().flat_map(|place| self.forms(&self.types[*place], DEPTH)).collect()
    }

    fn forms(&self, definition: &TdDefinition, depth: usize) -> Vec<Value> {
        let bare: Map<_, _> = [("@type".to_owned(), json!(definition.name))]
            .into_iter()
            .chain(definition.fields.iter().map(|(name, of)| (name.clone(), empty(of))))
            .collect();
        let mut forms = vec![Value::Object(bare.clone())];
        for (name, of) in &definition.fields {
            for value in self.values(of, depth) {
                let mut form = bare.clone();
                form.insert(name.clone(), value);
                forms.push(Value::Object(form));
            }
        }
        forms
    }

    /// Other values of a type; none for a plain one.
    fn values(&self, of: &str, depth: usize) -> Vec<Value> {
        if let Some(item) = of.strip_prefix("vector<").and_then(|of| of.strip_suffix('>')) {
            if empty(item).is_null() {
                let items = self.values(item, depth).into_iter().chain([Value::Null]);
                return vec![Value::Array(items.collect())];
            }
            return vec![json!([empty(item)])];
        }
        let Some(depth) = depth.checked_sub(1).filter(|_| empty(of).is_null()) else {
            return Vec::new();
        };
        if let Some(definition) = self.types.iter().find(|definition| definition.name == of) {
            return self.forms(definition, depth);
        }
        let types = self.classes.get(of).into_iter().flatten();
        let known = types.flat_map(|place| self.forms(&self.types[*place], depth));
        known.chain([json!({"@type": "fromTheFuture", "x": 1})]).collect()
    }
}

/// The least value of a type: null for an object.
fn empty(of: &str) -> Value {
    match of {
        "Bool" => json!(false),
        "int32" | "int53" | "double" => json!(1),
        "int64" => json!("1"),
        "string" | "bytes" => json!(""),
        list if list.starts_with("vector<") => json!([]),
        _ => Value::Null,
    }
}

/// Reads a line such as `user id:int53 first_name:string = User;`.
fn read(line: &str) -> Option<TdDefinition> {
    if line.starts_with("//") {
        return None;
    }
    let (head, class) = line.strip_suffix(';')?.split_once(" = ")?;
    let mut words = head.split(' ');
    let name = words.next()?.to_owned();
    let fields =
        words.map(|word| word.split_once(':').map(|(n, of)| (n.to_owned(), of.to_owned())));
    Some(TdDefinition { name, fields: fields.collect::<Option<_>>()?, class: class.to_owned() })
}

/// The directory of a package's source; `None` if cargo does not know it.
fn package_directory(name: &str) -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).ok()?;
    let mut packages = metadata["packages"].as_array()?.iter();
    let package = packages.find(|package| package["name"] == name)?;
    Path::new(package["manifest_path"].as_str()?).parent().map(Path::to_owned)
}
