//! Boot configuration data: a hive of objects, each with numbered elements.
//!
//! ```text
//! Objects\{GUID}\Description     Type   dword
//! Objects\{GUID}\Elements\XXXXXXXX      Element   data; its form is in the number
//! ```
//!
//! Source: "BCD Reference" (Microsoft Learn, `BcdLibraryElementTypes` and the like).

use std::fmt;

use crate::{HiveError, MergedKey, Overlay, ValueData, ValueType};

/// A boot configuration store, read as a whole.
///
/// What is not as it should be, an object without a type for instance, is left out: the boot manager
/// does the same.
#[derive(Clone, Debug, Default)]
pub struct BcdStore {
    objects: Vec<BcdObject>,
}

/// An object: an application that can be booted, settings to inherit, or a device.
#[derive(Clone, Debug)]
pub struct BcdObject {
    /// GUID in braces, as its key is named.
    pub id: String,
    /// What it is.
    pub kind: BcdObjectType,
    elements: Vec<(BcdElementType, BcdElement)>,
}

/// Type of an object: class in the top nibble, for applications the image in the next but one and
/// the application in the low 20 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BcdObjectType(pub u32);

/// Type of an element: class in the top nibble, form of the data in the next, then a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BcdElementType(pub u32);

/// Data of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BcdElement {
    /// A device, as stored: see [`BcdElement::device`].
    Device(Vec<u8>),
    /// Text.
    Text(String),
    /// GUID in braces of another object.
    Object(String),
    /// GUIDs in braces of other objects.
    Objects(Vec<String>),
    /// A number.
    Number(u64),
    /// Yes or no.
    Switch(bool),
    /// Numbers.
    Numbers(Vec<u64>),
    /// Data whose form the element's number does not tell, or that has another form.
    Other(ValueData<'static>),
}

/// What a device element points at, as far as it is publicly known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BcdDevice {
    /// The device that was booted from.
    Boot,
    /// A partition of a disk.
    Partition,
    /// Found by looking for a file or element on all volumes.
    Locate,
    /// Another kind, by its number.
    Other(u32),
}

impl BcdObjectType {
    /// The firmware's boot manager.
    pub const FIRMWARE_BOOT_MANAGER: Self = Self(0x1010_0001);
    /// The Windows boot manager, `bootmgfw.efi`.
    pub const BOOT_MANAGER: Self = Self(0x1010_0002);
    /// A loader of Windows, `winload.efi`.
    pub const OS_LOADER: Self = Self(0x1020_0003);
    /// A loader that resumes Windows from hibernation.
    pub const RESUME: Self = Self(0x1020_0004);
}

impl BcdElementType {
    /// Device of the application.
    pub const DEVICE: Self = Self(0x1100_0001);
    /// Path of the application on its device.
    pub const PATH: Self = Self(0x1200_0002);
    /// Title.
    pub const DESCRIPTION: Self = Self(0x1200_0004);
    /// Objects whose elements are inherited.
    pub const INHERIT: Self = Self(0x1400_0006);
    /// Loaders: device of the operating system.
    pub const OS_DEVICE: Self = Self(0x2100_0001);
    /// Loaders: its root folder, `\Windows`.
    pub const SYSTEM_ROOT: Self = Self(0x2200_0002);
    /// Boot managers: object that is booted.
    pub const DEFAULT_OBJECT: Self = Self(0x2300_0003);
    /// Boot managers: objects to choose from.
    pub const DISPLAY_ORDER: Self = Self(0x2400_0001);
    /// Boot managers: seconds to choose.
    pub const TIMEOUT: Self = Self(0x2500_0004);

    /// Forms: nibble below the class.
    fn form(self) -> u32 {
        self.0 >> 24 & 0xF
    }
}

impl BcdStore {
    /// Reads a store; a hive of another kind is a store without objects.
    ///
    /// # Errors
    /// As for reading the hive.
    pub fn read(hive: &Overlay<'_>) -> Result<Self, HiveError> {
        let Some(objects) = hive.get("Objects")? else {
            return Ok(Self::default());
        };
        let mut store = Self::default();
        for object in objects.subkeys()? {
            if let Some(object) = BcdObject::read(&object)? {
                store.objects.push(object);
            }
        }
        Ok(store)
    }

    /// All objects, sorted by GUID.
    pub fn objects(&self) -> &[BcdObject] {
        &self.objects
    }

    /// The object with this GUID (in braces, any case).
    pub fn object(&self, id: &str) -> Option<&BcdObject> {
        let mut objects = self.objects.iter();
        objects.find(|object| object.id.eq_ignore_ascii_case(id))
    }

    /// The Windows boot manager.
    pub fn boot_manager(&self) -> Option<&BcdObject> {
        let mut objects = self.objects.iter();
        objects.find(|object| object.kind == BcdObjectType::BOOT_MANAGER)
    }

    /// What is booted when nobody chooses: the boot manager's default, else the first of its list,
    /// else the only loader there is.
    pub fn default_loader(&self) -> Option<&BcdObject> {
        let manager = self.boot_manager();
        let named = |element| match manager?.get(element)? {
            BcdElement::Object(id) => self.object(id),
            BcdElement::Objects(ids) => ids.iter().find_map(|id| self.object(id)),
            _ => None,
        };
        let only = || {
            let kind = BcdObjectType::OS_LOADER;
            let mut loaders = self.objects.iter().filter(|object| object.kind == kind);
            loaders.next().filter(|_| loaders.next().is_none())
        };
        named(BcdElementType::DEFAULT_OBJECT)
            .or_else(|| named(BcdElementType::DISPLAY_ORDER))
            .or_else(only)
    }
}

impl BcdObject {
    fn read(key: &MergedKey<'_>) -> Result<Option<Self>, HiveError> {
        let kind = match key.subkey("Description")? {
            Some(description) => description.value("Type")?,
            None => None,
        };
        let kind = kind.map(|kind| kind.data()).transpose()?;
        let Some(kind) = kind.and_then(|kind| kind.to_u32()) else {
            return Ok(None);
        };
        let mut object = Self {
            id: key.name().to_text(),
            kind: BcdObjectType(kind),
            elements: Vec::new(),
        };
        let Some(elements) = key.subkey("Elements")? else {
            return Ok(Some(object));
        };
        for element in elements.subkeys()? {
            let number = u32::from_str_radix(&element.name().to_text(), 16);
            if let (Ok(number), Some(value)) = (number, element.value("Element")?) {
                let kind = BcdElementType(number);
                let data = BcdElement::of(kind, value.data()?);
                object.elements.push((kind, data));
            }
        }
        Ok(Some(object))
    }

    /// All elements, sorted by type as text.
    pub fn elements(&self) -> &[(BcdElementType, BcdElement)] {
        &self.elements
    }

    /// An element.
    pub fn get(&self, kind: BcdElementType) -> Option<&BcdElement> {
        let mut elements = self.elements.iter();
        elements
            .find(|(other, _)| *other == kind)
            .map(|(_, data)| data)
    }

    /// An element that is text.
    pub fn text(&self, kind: BcdElementType) -> Option<&str> {
        match self.get(kind)? {
            BcdElement::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl BcdElement {
    fn of(kind: BcdElementType, data: ValueData<'_>) -> Self {
        let number = |bytes: &[u8]| {
            let mut number = [0; 8];
            number.get_mut(..bytes.len())?.copy_from_slice(bytes);
            Some(u64::from_le_bytes(number))
        };
        let binary = data.kind == ValueType::BINARY;
        let known = match kind.form() {
            1 if binary => Some(Self::Device(data.bytes.to_vec())),
            2 => data.to_text().map(Self::Text),
            3 => data.to_text().map(Self::Object),
            4 => data.to_texts().map(Self::Objects),
            5 if binary => number(&data.bytes).map(Self::Number),
            6 if binary => data.bytes.first().map(|byte| Self::Switch(*byte != 0)),
            7 if binary => {
                let (numbers, _) = data.bytes.as_chunks::<8>();
                let numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
                Some(Self::Numbers(numbers.collect()))
            }
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other(data.into_owned()))
    }

    /// The kind of a device: the number after the 16 bytes that name an object with options.
    pub fn device(&self) -> Option<BcdDevice> {
        let Self::Device(bytes) = self else {
            return None;
        };
        let kind = bytes.get(16..)?.first_chunk()?;
        Some(match u32::from_le_bytes(*kind) {
            5 => BcdDevice::Boot,
            6 => BcdDevice::Partition,
            8 => BcdDevice::Locate,
            other => BcdDevice::Other(other),
        })
    }
}

impl fmt::Debug for BcdObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for BcdElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hive, HiveTree};

    const MANAGER: &str = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";
    const LOADER: &str = "{7d1b2e54-0c3f-4a58-9e6d-2f1c8b7a6051}";

    fn store(change: impl FnOnce(&mut HiveTree)) -> BcdStore {
        let mut tree = HiveTree::new("BCD");
        for (id, kind) in [(MANAGER, 0x1010_0002), (LOADER, 0x1020_0003)] {
            let object = tree.root_mut().create(&format!(r"Objects\{id}")).unwrap();
            let description = object.create("Description").unwrap();
            description.set("Type", ValueData::dword(kind)).unwrap();
        }
        let boot: Vec<u8> = [0; 16].into_iter().chain([5, 0, 0, 0]).collect();
        for (element, data) in [
            (
                "12000002",
                ValueData::string(r"\Windows\System32\winload.efi"),
            ),
            ("11000001", ValueData::binary(boot)),
            ("25000020", ValueData::binary([3, 0, 0, 0, 0, 0, 0, 0])),
            ("26000022", ValueData::binary([1])),
            ("27000030", ValueData::binary([1, 0, 0, 0, 0, 0, 0, 0])),
            ("14000006", ValueData::multi_string(&[MANAGER])),
            ("22000002", ValueData::dword(1)),
            ("not a number", ValueData::dword(1)),
        ] {
            let path = format!(r"Objects\{LOADER}\Elements\{element}");
            let key = tree.root_mut().create(&path).unwrap();
            key.set("Element", data).unwrap();
        }
        change(&mut tree);
        let file = tree.to_bytes().unwrap();
        let hive = Overlay::new([Hive::from_bytes(&file).unwrap()]).unwrap();
        BcdStore::read(&hive).unwrap()
    }

    fn set_default(tree: &mut HiveTree, element: &str, data: ValueData<'static>) {
        let path = format!(r"Objects\{MANAGER}\Elements\{element}");
        let key = tree.root_mut().create(&path).unwrap();
        key.set("Element", data).unwrap();
    }

    #[test]
    fn elements_have_the_form_their_number_says() {
        let store = store(|_| {});
        let loader = store.object(&LOADER.to_uppercase()).unwrap();
        let path = loader.text(BcdElementType::PATH);
        assert_eq!(path, Some(r"\Windows\System32\winload.efi"));
        let device = loader.get(BcdElementType::DEVICE).unwrap();
        assert_eq!(device.device(), Some(BcdDevice::Boot));
        let get = |number| loader.get(BcdElementType(number)).unwrap();
        assert_eq!(*get(0x2500_0020), BcdElement::Number(3));
        assert_eq!(*get(0x2600_0022), BcdElement::Switch(true));
        assert_eq!(*get(0x2700_0030), BcdElement::Numbers(vec![1]));
        assert_eq!(*get(0x1400_0006), BcdElement::Objects(vec![MANAGER.into()]));
        assert!(
            matches!(get(0x2200_0002), BcdElement::Other(_)),
            "text is expected"
        );
        assert_eq!(loader.elements().len(), 7);
    }

    #[test]
    fn the_default_is_what_the_boot_manager_names() {
        let named = store(|tree| set_default(tree, "23000003", ValueData::string(LOADER)));
        assert_eq!(named.default_loader().unwrap().id, LOADER);
        let listed = ValueData::multi_string(&["{00000000-0000-0000-0000-000000000000}", LOADER]);
        let listed = store(|tree| set_default(tree, "24000001", listed));
        assert_eq!(listed.default_loader().unwrap().id, LOADER);
        let only = store(|_| {});
        assert_eq!(only.default_loader().unwrap().id, LOADER);
        assert_eq!(only.boot_manager().unwrap().id, MANAGER);
    }

    #[test]
    fn other_hives_have_no_objects() {
        let file = HiveTree::new("SAM").to_bytes().unwrap();
        let hive = Overlay::new([Hive::from_bytes(&file).unwrap()]).unwrap();
        assert!(BcdStore::read(&hive).unwrap().default_loader().is_none());
    }
}
