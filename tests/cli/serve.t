Settings come from a file, the environment and flags; what is wrong is told with its place.

$ scree serve
scree serve: no model: give --model FILE or --models FOLDER
[2]

$ printf 'queue = 7\n[model a]\nqueue = 8\n' >s.ini; scree serve --config s.ini --models m --check-config | grep queue
queue = 7
queue = 8

$ SCREE_QUEUE=9 SCREE_CONFIG=s.ini scree serve --models m --check-config | grep queue
queue = 9
queue = 8

$ SCREE_QUEUE=9 scree serve -c s.ini --models m --queue 10 --check-config | grep queue
queue = 10
queue = 8

$ MODEL_PATH=m.tflite PORT=81 scree serve --check-config | grep -e '^model ' -e '^port '
model = m.tflite
port = 81

$ scree serve -c s.ini --models m --check-config >t.ini; scree serve -c t.ini --check-config | diff t.ini -

$ printf '[server]\nprot = 1\n' >s.ini; scree serve --config s.ini
scree serve: s.ini:2: there is no setting 'prot'
[2]

$ SCREE_MAX_BODY=much scree serve --models m
scree serve: SCREE_MAX_BODY=much: bytes are wanted, like 512K or 10M, from 1 to 1G
[2]

$ scree serve --models m --versions best
scree serve: --versions best: latest, latest:N, all or only:1,3 is wanted, N up to 64
[2]

$ scree serve --config none.ini
scree serve: none.ini: No such file or directory
[2]

$ scree serve --models none
scree: none: No such file or directory
[4]

$ scree serve --models s.ini
scree: s.ini: Not a directory
[4]

$ scree serve --help | grep -e '--max-body B'
  --max-body BYTES          of one body (default 10M)
