# Compiles one file after the other in one process: marshalled code then does not depend on what ran beside.
# As few names as possible: marshal marks a string that something else holds, too, so a name that is used here changes
# what becomes of a function that uses it.
import os, py_compile, sys
folder = sys.argv[1]
mode = {}
if hasattr(py_compile, 'PycInvalidationMode'):
    mode['invalidation_mode'] = py_compile.PycInvalidationMode.UNCHECKED_HASH
sys.stdout = os.fdopen(int(sys.argv[3]), 'wb')
sys.stdout.write(('%s\n' % getattr(getattr(sys, 'implementation', None), 'cache_tag', '')).encode('ascii'))
with open(folder + '/list', 'rb') as names:
    names = names.read().decode('utf-8').split('\n')
for number, line in enumerate(names):
    if not line:
        continue
    if sys.version_info[0] == 2:
        line = line.encode('utf-8')
    source, name, mtime = line.split('\t')
    if mtime:
        os.utime(source, (int(mtime), int(mtime)))
    try:
        py_compile.compile(source, cfile='%s/%d' % (sys.argv[2], number), dfile=name, doraise=True, **mode)
        with open('%s/%d' % (sys.argv[2], number), 'rb') as line:
            line = line.read()
        os.unlink('%s/%d' % (sys.argv[2], number))
        sys.stdout.write(('%d %d\n' % (number, len(line))).encode('ascii') + line)
    except Exception as error:
        reason = ' '.join(str(error).split())[:1000]
        sys.stdout.write(('%d - %s\n' % (number, reason.encode('ascii', 'replace').decode('ascii'))).encode('ascii'))
sys.stdout.flush()
