//! Folders as people have them: each trains by `pemm train FOLDER` at the first try.

use std::fs;

use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageFormat, Rgba, RgbaImage};

use crate::place::{Place, QUICK};

const JPEG: &[u8] = include_bytes!("grey-16x8.jpg");

const RED: [u8; 3] = [200, 30, 30];
const BLUE: [u8; 3] = [30, 30, 200];

/// Makes a folder `photos` in a place, and says what `pemm train` tells of it.
struct Folder {
    name: &'static str,
    make: fn(&Place),
    says: &'static [&'static str],
}

/// `per_class` images of each of two classes, each of the size and in the form that its number has.
fn two_classes(place: &Place, per_class: u32, save: impl Fn(&Place, &str, [u8; 3], u32)) {
    for (class, colour) in [("cats", RED), ("dogs", BLUE)] {
        for i in 0..per_class {
            save(place, &format!("photos/{class}/{i:02}"), colour, i);
        }
    }
}

fn png(place: &Place, path: &str, size: [u32; 2], colour: [u8; 3], number: u32) {
    place.png(&format!("{path}.png"), size, colour, number);
}

fn save(place: &Place, path: &str, image: &DynamicImage, format: ImageFormat) {
    let path = place.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save_with_format(path, format).unwrap();
}

fn cut_out(side: u32, [red, green, blue]: [u8; 3]) -> DynamicImage {
    let inside = |x: u32, y: u32| x.abs_diff(side / 2) + y.abs_diff(side / 2) < side / 2;
    RgbaImage::from_fn(side, side, |x, y| {
        Rgba([red, green, blue, if inside(x, y) { 255 } else { 0 }])
    })
    .into()
}

const FOLDERS: [Folder; 10] = [
    Folder {
        name: "mixed sizes",
        make: |place| {
            two_classes(place, 12, |place, path, colour, i| {
                png(place, path, [40 + 7 * i, 30 + 11 * (i % 5)], colour, i);
            });
        },
        says: &["different sizes", "brought to"],
    },
    Folder {
        name: "cut-outs with transparency",
        make: |place| {
            two_classes(place, 12, |place, path, colour, _| {
                save(place, &format!("{path}.png"), &cut_out(24, colour), ImageFormat::Png);
            });
        },
        says: &["3×24×24"],
    },
    Folder {
        name: "a few broken files",
        make: |place| {
            two_classes(place, 20, |place, path, colour, i| png(place, path, [16, 16], colour, i));
            place.write("photos/cats/empty.jpg", "");
            place.write("photos/dogs/text.png", "this is no image");
        },
        says: &["2 images cannot be read, left out: ", "cats/empty.jpg", "dogs/text.png"],
    },
    Folder {
        name: "ten of one class for one of the other",
        make: |place| {
            for i in 0..60 {
                png(place, &format!("photos/cats/{i:02}"), [16, 16], RED, i);
            }
            for i in 0..6 {
                png(place, &format!("photos/dogs/{i:02}"), [16, 16], BLUE, 100 + i);
            }
        },
        says: &["the classes are uneven", "loss.class_weights=balanced"],
    },
    Folder {
        name: "grey among colour, some with alpha, some of 16 bits",
        make: |place| {
            two_classes(place, 12, |place, path, colour, i| match i % 4 {
                0 => png(place, path, [20, 20], colour, i),
                1 => {
                    let grey = GrayImage::from_pixel(20, 20, image::Luma([colour[0]]));
                    save(place, &format!("{path}.png"), &grey.into(), ImageFormat::Png);
                }
                2 => {
                    let grey = GrayAlphaImage::from_pixel(20, 20, image::LumaA([colour[0], 128]));
                    save(place, &format!("{path}.png"), &grey.into(), ImageFormat::Png);
                }
                _ => {
                    let deep = DynamicImage::from(cut_out(20, colour).into_rgb16());
                    save(place, &format!("{path}.png"), &deep, ImageFormat::Png);
                }
            });
        },
        says: &["3×20×20"],
    },
    Folder {
        name: "all grey",
        make: |place| {
            two_classes(place, 12, |place, path, colour, i| {
                let grey = GrayImage::from_fn(28, 28, |x, _| {
                    image::Luma([colour[0].wrapping_add((x * i) as u8 / 8)])
                });
                save(place, &format!("{path}.png"), &grey.into(), ImageFormat::Png);
            });
        },
        says: &["1×28×28"],
    },
    Folder {
        name: "from 300 to 4,000 pixels",
        make: |place| {
            two_classes(place, 6, |place, path, colour, i| {
                // Of one colour, so that writing them does not take long.
                let side = if i == 0 { 4000 } else { 300 + 40 * i };
                let plain = image::RgbImage::from_pixel(side, side / 2, image::Rgb(colour));
                save(place, &format!("{path}.png"), &plain.into(), ImageFormat::Png);
            });
        },
        says: &["brought to 64×"],
    },
    Folder {
        name: "every format, and endings in capitals",
        make: |place| {
            two_classes(place, 12, |place, path, colour, i| {
                let formats = [
                    ("png", ImageFormat::Png),
                    ("gif", ImageFormat::Gif),
                    ("bmp", ImageFormat::Bmp),
                    ("TIFF", ImageFormat::Tiff),
                    ("webp", ImageFormat::WebP),
                ];
                let Some(&(ending, format)) = formats.get(i as usize % 6) else {
                    return place.write(&format!("{path}.JPG"), JPEG);
                };
                let image = DynamicImage::from(cut_out(20, colour).into_rgb8());
                save(place, &format!("{path}.{ending}"), &image, format);
            });
        },
        says: &["2 different sizes"],
    },
    Folder {
        name: "what cameras and systems leave beside the images",
        make: |place| {
            two_classes(place, 12, |place, path, colour, i| png(place, path, [16, 16], colour, i));
            place.write("photos/.DS_Store", "system");
            place.write("photos/cats/Thumbs.db", "system");
            place.write("photos/cats/._00.png", "system");
            place.write("photos/readme.txt", "taken in May");
            place.write("photos/dogs/clip.mp4", "no image");
        },
        says: &["2 classes"],
    },
    Folder {
        name: "folders in folders, with spaces and letters of other scripts",
        make: |place| {
            for (class, colour) in [("Große Katzen", RED), ("犬", BLUE)] {
                for i in 0..12 {
                    let path = format!("photos/{class}/from my phone/{}/Bild {i}", i % 2);
                    png(place, &path, [16, 16], colour, i);
                }
            }
        },
        says: &["2 classes"],
    },
];

#[test]
fn every_folder_trains_at_the_first_try() {
    for Folder { name, make, says } in &FOLDERS {
        let place = Place::new();
        make(&place);
        let said = place.pemm(&format!("train photos {QUICK} --out run"));
        assert_eq!(said.code, Some(0), "{name}: {said}");
        for part in *says {
            assert!(said.err.contains(part), "{name}, {part}: {said}");
        }
        assert!(place.exists("run/report.html"), "{name}");
        let said = place.pemm("predict run photos --skip-broken");
        assert_eq!(said.code, Some(0), "{name}: {said}");
        assert!(said.out.lines().count() > 10, "{name}: {said}");
    }
}
