//! The registry of the sample: full hives of the base layer, deltas of the others.

use winlayer_hive::{HiveError, HiveTree, KeyName, TreeKey, ValueData};

use super::{BASE_REVISION, BUILD, FINAL_REVISION};

/// 2021-05-08T08:15:00Z, when the base layer's hives were last written.
const BASE_TIME: u64 = 132_649_353_000_000_000;
/// 2023-11-14T18:00:00Z, when the update was installed.
const UPDATE_TIME: u64 = 133_444_584_000_000_000;
/// 2024-02-29T12:00:00Z, when the application was added.
const APPLICATION_TIME: u64 = 133_536_816_000_000_000;

const CURRENT_VERSION: &str = r"Microsoft\Windows NT\CurrentVersion";
const PACKAGES: &str = r"Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages";
const UNINSTALL_32: &str = r"WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall";
/// States of a package.
const INSTALLED: u32 = 112;
const SUPERSEDED: u32 = 80;
/// `{bootmgr}`, the boot manager's object in every BCD store.
const BOOT_MANAGER: &str = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";
/// The sample's operating system loader.
const OS_LOADER: &str = "{7d1b2e54-0c3f-4a58-9e6d-2f1c8b7a6051}";

type Bytes = Result<Vec<u8>, HiveError>;

fn full(file_name: &str) -> HiveTree {
    let mut hive = HiveTree::new(file_name);
    hive.set_last_written(BASE_TIME);
    hive
}

fn delta(file_name: &str, time: u64) -> HiveTree {
    let mut hive = HiveTree::delta(file_name);
    hive.set_last_written(time);
    hive
}

/// `SOFTWARE`: which Windows this is.
pub(super) fn software() -> Bytes {
    let mut hive = full(r"\SystemRoot\System32\Config\SOFTWARE");
    let root = hive.root_mut();
    root.create("Classes")?;
    root.create("Policies")?;
    let version = root.create(CURRENT_VERSION)?;
    version.set("SystemRoot", ValueData::string(r"C:\Windows"))?;
    version.set(
        "ProductName",
        ValueData::string("Windows Server 2022 Datacenter"),
    )?;
    version.set("EditionID", ValueData::string("ServerDatacenter"))?;
    version.set("InstallationType", ValueData::string("Server Core"))?;
    version.set("DisplayVersion", ValueData::string("21H2"))?;
    version.set("ReleaseId", ValueData::string("2009"))?;
    version.set("CurrentVersion", ValueData::string("6.3"))?;
    version.set("CurrentMajorVersionNumber", ValueData::dword(10))?;
    version.set("CurrentMinorVersionNumber", ValueData::dword(0))?;
    version.set("CurrentBuild", ValueData::string(&BUILD.to_string()))?;
    version.set("CurrentBuildNumber", ValueData::string(&BUILD.to_string()))?;
    version.set("UBR", ValueData::dword(BASE_REVISION))?;
    version.set(
        "BuildLab",
        ValueData::string("20348.fe_release.210507-1500"),
    )?;
    version.set(
        "BuildLabEx",
        ValueData::string("20348.1.amd64fre.fe_release.210507-1500"),
    )?;
    version.set("InstallDate", ValueData::dword(1_620_461_700))?;
    version.set("DigitalProductId", ValueData::binary(vec![0; 164]))?;
    let fonts = version.create("Fonts")?;
    fonts.set("Lucida Console (TrueType)", ValueData::string("lucon.ttf"))?;
    version
        .create("Obsolete")?
        .set("Since", ValueData::string("10.0.20348.1"))?;
    let windows = root.create(r"Microsoft\Windows\CurrentVersion")?;
    windows.set("ProgramFilesDir", ValueData::string(r"C:\Program Files"))?;
    windows.set(
        "ProgramFilesDir (x86)",
        ValueData::string(r"C:\Program Files (x86)"),
    )?;
    windows.set("DevicePath", ValueData::expand_string(r"%SystemRoot%\inf"))?;
    install(root, &package("RollupFix", BASE_REVISION), BASE_TIME)?;
    install(root, &package("KB5003711", BASE_REVISION), BASE_TIME)?;
    root.create(&format!(
        r"{PACKAGES}\Sample-Shell-Package~31bf3856ad364e35~amd64~~10.0.20348.1"
    ))?
    .set("CurrentState", ValueData::dword(INSTALLED))?;
    for (name, display_name) in [
        ("Sample Runtime", Some("Winlayer Sample Runtime (x86)")),
        ("Sample Runtime Part", None),
    ] {
        let key = root.create(&format!(r"{UNINSTALL_32}\{name}"))?;
        key.set("DisplayVersion", ValueData::string("14.0"))?;
        if let Some(name) = display_name {
            key.set("DisplayName", ValueData::string(name))?;
        }
    }
    root.create(r"Microsoft\NET Framework Setup\NDP\v4\Full")?
        .set("Release", ValueData::dword(528_449))?;
    root.create(r"WOW6432Node\Microsoft")?;
    hive.to_bytes()
}

/// `SYSTEM`: control sets and services.
pub(super) fn system() -> Bytes {
    let mut hive = full(r"\SystemRoot\System32\Config\SYSTEM");
    let root = hive.root_mut();
    let select = root.create("Select")?;
    for name in ["Current", "Default", "LastKnownGood"] {
        select.set(name, ValueData::dword(1))?;
    }
    select.set("Failed", ValueData::dword(0))?;
    root.create(r"ControlSet001\Control\ComputerName\ComputerName")?
        .set("ComputerName", ValueData::string("SAMPLE"))?;
    root.create(r"ControlSet001\Control\ProductOptions")?
        .set("ProductType", ValueData::string("ServerNT"))?
        .set(
            "ProductSuite",
            ValueData::multi_string(&["Terminal Server", "DataCenter"]),
        )?;
    let session = root.create(r"ControlSet001\Control\Session Manager")?;
    session.set(
        "BootExecute",
        ValueData::multi_string(&["autocheck autochk *"]),
    )?;
    let environment = session.create("Environment")?;
    let path = r"%SystemRoot%\system32;%SystemRoot%;%SystemRoot%\System32\Wbem";
    environment.set("Path", ValueData::expand_string(path))?;
    environment.set(
        "ComSpec",
        ValueData::expand_string(r"%SystemRoot%\system32\cmd.exe"),
    )?;
    environment.set("PROCESSOR_ARCHITECTURE", ValueData::string("AMD64"))?;
    environment.set("OS", ValueData::string("Windows_NT"))?;
    for (name, start, kind, image) in [
        (
            "EventLog",
            2,
            32,
            r"%SystemRoot%\System32\svchost.exe -k LocalServiceNetworkRestricted",
        ),
        (
            "LegacySample",
            3,
            1,
            r"\SystemRoot\System32\drivers\legacy.sys",
        ),
        ("NTFS", 0, 2, r"\SystemRoot\System32\drivers\ntfs.sys"),
        ("gns", 3, 16, r"%SystemRoot%\System32\gns.exe"),
    ] {
        let service = root.create(r"ControlSet001\Services")?.create(name)?;
        service.set("Start", ValueData::dword(start))?;
        service.set("Type", ValueData::dword(kind))?;
        service.set("ErrorControl", ValueData::dword(1))?;
        service.set("ImagePath", ValueData::expand_string(image))?;
    }
    // A class name carries meaning here: the boot key is kept in four of them.
    for (name, class) in [
        ("JD", "3fa9c1d2"),
        ("Skew1", "00a7e6b4"),
        ("GBG", "c08d5f31"),
        ("Data", "9b64e217"),
    ] {
        root.create(r"ControlSet001\Control\Lsa")?
            .create(name)?
            .set_class(class);
    }
    hive.to_bytes()
}

/// `DEFAULT`: the registry of a user nobody has logged in as.
pub(super) fn default_user() -> Bytes {
    let mut hive = full(r"\SystemRoot\System32\Config\DEFAULT");
    let root = hive.root_mut();
    let environment = root.create("Environment")?;
    let temp = ValueData::expand_string(r"%USERPROFILE%\AppData\Local\Temp");
    environment.set("TEMP", temp.clone())?.set("TMP", temp)?;
    root.create("Console")?
        .set("FaceName", ValueData::string("__DefaultTTFont__"))?;
    root.create(r"Control Panel\International")?
        .set("LocaleName", ValueData::string("en-US"))?;
    root.create("Software")?;
    hive.to_bytes()
}

/// `SAM`, with nobody in it.
pub(super) fn sam() -> Bytes {
    let mut hive = full(r"\SystemRoot\System32\Config\SAM");
    hive.root_mut().create(r"SAM\Domains\Account\Users\Names")?;
    hive.to_bytes()
}

/// `SECURITY`
pub(super) fn security() -> Bytes {
    let mut hive = full(r"\SystemRoot\System32\Config\SECURITY");
    hive.root_mut().create(r"Policy\Accounts")?;
    hive.to_bytes()
}

/// `NTUSER.DAT` of a new profile.
pub(super) fn user_profile() -> Bytes {
    let mut hive = full(r"\??\C:\Users\Default\NTUSER.DAT");
    hive.root_mut().create("Environment")?;
    hive.to_bytes()
}

/// The smallest hive, for places where only its being one matters.
pub(super) fn empty(file_name: &str) -> Bytes {
    full(file_name).to_bytes()
}

/// `BCD`: the boot configuration of the utility VM.
pub(super) fn boot_configuration() -> Bytes {
    let mut hive = full(r"\EFI\Microsoft\Boot\BCD");
    hive.set_root_name(KeyName::new("NewStoreRoot")?);
    let root = hive.root_mut();
    root.create("Description")?
        .set("FirmwareModified", ValueData::dword(1))?
        .set("KeyName", ValueData::string("BCD00000000"))?
        .set("System", ValueData::dword(1))?
        .set("TreatAsSystem", ValueData::dword(1))?;
    let manager = root.create("Objects")?.create(BOOT_MANAGER)?;
    manager
        .create("Description")?
        .set("Type", ValueData::dword(0x1010_0002))?;
    for (element, value) in [
        (
            "12000002",
            ValueData::string(r"\EFI\Microsoft\Boot\bootmgfw.efi"),
        ),
        ("12000004", ValueData::string("Windows Boot Manager")),
        ("12000005", ValueData::string("en-US")),
        ("23000003", ValueData::string(OS_LOADER)),
        ("24000001", ValueData::multi_string(&[OS_LOADER])),
        ("25000004", ValueData::binary([0; 8])),
    ] {
        manager
            .create("Elements")?
            .create(element)?
            .set("Element", value)?;
    }
    let loader = root.create("Objects")?.create(OS_LOADER)?;
    loader
        .create("Description")?
        .set("Type", ValueData::dword(0x1020_0003))?;
    for (element, value) in [
        (
            "12000002",
            ValueData::string(r"\Windows\System32\winload.efi"),
        ),
        ("12000004", ValueData::string("Windows Server")),
        ("12000005", ValueData::string("en-US")),
        ("22000002", ValueData::string(r"\Windows")),
        ("25000020", ValueData::binary([0; 8])),
        ("26000022", ValueData::binary([1])),
    ] {
        loader
            .create("Elements")?
            .create(element)?
            .set("Element", value)?;
    }
    hive.to_bytes()
}

/// `Software_Delta` of the update: a newer revision, one package more and one gone.
pub(super) fn software_update() -> Bytes {
    let mut hive = delta("Software_Delta", UPDATE_TIME);
    let root = hive.root_mut();
    let version = root.create(CURRENT_VERSION)?;
    version.set("UBR", ValueData::dword(FINAL_REVISION))?;
    let lab = format!("20348.{FINAL_REVISION}.amd64fre.fe_release_svc_prod1.231103-1722");
    version.set("BuildLabEx", ValueData::string(&lab))?;
    version.delete_value("ReleaseId")?;
    version.delete_key("Obsolete")?;
    root.delete_key(&package("RollupFix", BASE_REVISION))?;
    root.create(&package("KB5003711", BASE_REVISION))?
        .set("CurrentState", ValueData::dword(SUPERSEDED))?;
    for name in ["RollupFix", "KB5032198"] {
        let package = package(name, FINAL_REVISION);
        root.create(&package)?.replace_tree();
        install(root, &package, UPDATE_TIME)?;
        root.create(&format!(r"{package}\Owners"))?;
    }
    hive.to_bytes()
}

/// `System_Delta` of the update: a legacy driver is gone.
pub(super) fn system_update() -> Bytes {
    let mut hive = delta("System_Delta", UPDATE_TIME);
    let services = hive.root_mut().create(r"ControlSet001\Services")?;
    services.delete_key("LegacySample")?;
    services
        .create("EventLog")?
        .set("Start", ValueData::dword(3))?;
    hive.to_bytes()
}

/// A delta that changes nothing.
pub(super) fn unchanged(file_name: &str) -> Bytes {
    delta(file_name, UPDATE_TIME).to_bytes()
}

/// `Software_Delta` of the application.
pub(super) fn software_application() -> Bytes {
    let mut hive = delta("Software_Delta", APPLICATION_TIME);
    let root = hive.root_mut();
    let uninstall = root.create(r"Microsoft\Windows\CurrentVersion\Uninstall")?;
    let entry = uninstall.create("Winlayer Sample")?.replace_tree();
    entry.set("DisplayName", ValueData::string("Winlayer Sample"))?;
    entry.set("DisplayVersion", ValueData::string("1.0.0"))?;
    entry.set("Publisher", ValueData::string("winlayer"))?;
    root.create("Winlayer")?
        .replace_tree()
        .set("Greeting", ValueData::string("Grüß Gott, 世界"))?;
    hive.to_bytes()
}

/// Registers a package as servicing does.
fn install(root: &mut TreeKey, package: &str, time: u64) -> Result<(), HiveError> {
    let (high, low) = ((time >> 32) as u32, time as u32);
    root.create(package)?
        .set("CurrentState", ValueData::dword(INSTALLED))?
        .set("InstallTimeHigh", ValueData::dword(high))?
        .set("InstallTimeLow", ValueData::dword(low))?
        .set("InstallClient", ValueData::string("DISM Package Manager"))?;
    Ok(())
}

fn package(name: &str, revision: u32) -> String {
    format!(r"{PACKAGES}\Package_for_{name}~31bf3856ad364e35~amd64~~{BUILD}.{revision}.1.0")
}
