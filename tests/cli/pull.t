What can be pulled is listed, and what cannot be is told before anything is asked for.

$ scree pull --list | grep -c -e ' pinned ' -e ' unknown '
14

$ scree pull --list | grep movenet_lightning
movenet_lightning     pose      Apache-2.0  pinned   MoveNet Lightning, 192x192, int8, one person

$ scree pull --list --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["models"]))'
14

$ scree pull
scree pull: missing: NAME or URL
Try 'scree pull --help'.
[2]

$ scree pull none
scree pull: no model "none" in the catalogue: see 'scree pull --list'
[2]

$ scree pull https://127.0.0.1/a.tflite --sha256 1234
scree pull: --sha256 "1234": 64 digits of 0-9, a-f are wanted
[2]

$ scree pull https://127.0.0.1/a.tflite --name ../a
scree pull: no model may be called "../a": say --name
[2]

$ echo '{"models": [{"name": "a", "speed": 9}]}' >c.json; scree pull a --catalog c.json
scree: c.json: model 0 has a key that is not known: "speed"
[4]
