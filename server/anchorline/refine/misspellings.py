"""Frequent misspellings of English and of software's words, each with its correction.

None of the left-hand spellings is a word, an abbreviation or a usual identifier.
"""

MISSPELLINGS = """
accomodate accommodate|acheive achieve|acheived achieved|adn and|adress address|adressed addressed
adresses addresses|agian again|allready already|alot a lot|alreay already|alredy already|alwasy always
alwyas always|amoung among|apparantly apparently|appearence appearance|aquire acquire|arguement argument
arguements arguments|arguemnt argument|argumnet argument|assigment assignment|asynchronus asynchronous
asyncronous asynchronous|attribtue attribute|avaiable available|availabe available|availble available
avaliable available|avialable available|bandwith bandwidth|basicly basically|beacuse because|becasue because
becuase because|becuse because|begining beginning|beleive believe|boolen boolean|buisness business
caracter character|catagory category|charachter character|charactor character|charcter character|chekc check
cheked checked|comand command|comit commit|commad command|comming coming|commited committed
commiting committing|comparision comparison|compatability compatibility|compatable compatible
compleatly completely|completly completely|compnent component|componant component|componenet component
concious conscious|conditon condition|condtion condition|configration configuration
configuartion configuration|confiugration configuration|consistancy consistency|consistant consistent
containts contains|contian contain|contians contains|convertion conversion|coudl could|couldnt couldn't
craete create|creat create|cuase cause|curently currently|currenty currently|currrent current
databae database|databse database|datbase database|decleration declaration|defalut default|defautl default
definately definitely|definatly definitely|definitly definitely|definiton definition|defintion definition
defualt default|deleteing deleting|delte delete|dependancies dependencies|dependancy dependency
dependecy dependency|dependeny dependency|depricated deprecated|desciption description
descripton description|desgin design|desing design|desription description|didnt didn't|diferent different
differnt different|diffrent different|dirctory directory|direcotry directory|directoy directory
directroy directory|documenation documentation|documentaion documentation|documentatoin documentation
documention documentation|doesnt doesn't|dont don't|dosent doesn't|dupicate duplicate|duplciate duplicate
edtior editor|efficent efficient|elemnt element|elment element|embarass embarrass|enviornment environment
enviroment environment|enviroments environments|envrionment environment|eror error|erorr error|erros errors
errror error|examle example|exampel example|exapmle example|excecute execute|exceptoin exception
excpetion exception|excute execute|exectue execute|exept except|exeption exception|exising existing
exisitng existing|existance existence|existant existent|exmaple example|expcetion exception
explaination explanation|explantion explanation|expresion expression|extenstion extension
extention extension|faild failed|familar familiar|finaly finally|followign following|follwing following
folowing following|foramt format|formated formatted|formating formatting|foward forward|frist first
fucntion function|fucntions functions|fuction function|funciton function|funcitons functions
functionalty functionality|functoin function|functon function|funtion function|funtions functions
futher further|garantee guarantee|gaurantee guarantee|gaurd guard|generaly generally|genereate generate
gerenate generate|goverment government|guarentee guarantee|handeling handling|hapen happen|hapens happens
happend happened|heigth height|heirarchy hierarchy|hierachy hierarchy|hte the|identifer identifier
idnetifier identifier|imediately immediately|immediatly immediately|impelment implement
implemenation implementation|implementaion implementation|implemnt implement|implment implement
implmentation implementation|importent important|improt import|improvment improvement
improvments improvements|inclde include|incldue include|inculde include|independant independent
indexs indexes|infomation information|informaion information|informtion information|inheritence inheritance
initalise initialise|initalization initialization|initalize initialize|initialze initialize
initilize initialize|inlcude include|instace instance|instaed instead|insted instead|intance instance
intances instances|inteface interface|integeration integration|interfce interface|interupt interrupt
intial initial|intialize initialize|intrface interface|invaild invalid|invlaid invalid|isnt isn't
itterate iterate|knowlege knowledge|langauge language|languge language|lengh length|lenght length
libaries libraries|libary library|librarys libraries|libray library|liek like|liscense license
lisence license|maintainance maintenance|maintainence maintenance|maintenence maintenance
managment management|manualy manually|mehtod method|mesage message|messaeg message|messge message
messsage message|methdo method|methos methods|metod method|mispell misspell|mispelled misspelled|modle model
modlue module|moduel module|moudle module|mroe more|mulitple multiple|multipe multiple|mutliple multiple
neccesary necessary|neccessary necessary|necesary necessary|necessery necessary|nmber number
noticable noticeable|nubmer number|numebr number|occassion occasion|occurance occurrence|occured occurred
occurence occurrence|occurences occurrences|occuring occurring|ocurred occurred|ocurrence occurrence
oeprator operator|ommit omit|opeartor operator|operaton operation|opertion operation|opne open|optoin option
optoins options|orginal original|origianl original|otuput output|ouptut output|ouput output|outptu output
overide override|overriden overridden|pacakge package|packge package|pakage package|paralel parallel
paralell parallel|paramater parameter|paramaters parameters|parameteres parameters|parametr parameter
paramter parameter|paramters parameters|parmeter parameter|parrallel parallel|particuarly particularly
passowrd password|passwrod password|pasword password|peformance performance|pelase please
perfomance performance|performace performance|perfrom perform|permision permission|permissons permissions
persistant persistent|plaese please|plase please|pleae please|pleaes please|porblem problem|posible possible
positon position|possability possibility|possibile possible|prefered preferred|prefering preferring
presense presence|previos previous|previosly previously|previouly previously|privelege privilege
priviledge privilege|probalby probably|probaly probably|probelm problem|problme problem|proccess process
proces process|procesing processing|proeprty property|programatically programmatically|proivde provide
promt prompt|propertie property|propery property|proprety property|provdie provide|provied provide
pubilc public|pulbic public|qeury query|quaterly quarterly|querry query|quesiton question|realease release
reccomend recommend|recieve receive|recieved received|reciever receiver|recieves receives
recieving receiving|recomend recommend|recommand recommend|refacotr refactor|refactr refactor
refator refactor|referance reference|referece reference|refered referred|refering referring
refernce reference|refrence reference|relase release|relevent relevant|remeber remember|remvoe remove
reomve remove|repalce replace|repitition repetition|replcae replace|reponse response|repositroy repository
repositry repository|repsonse response|reqest request|reqeust request|requets request|requierd required
requiremnt requirement|requirment requirement|requirments requirements|requried required|requst request
reslut result|resluts results|resoruce resource|resouce resource|resourse resource|respone response
responsability responsibility|resposne response|retreive retrieve|retreived retrieved|retrive retrieve
retrived retrieved|retrn return|retrun return|retruns returns|retunr return|returnd returned|reuslt result
reutrn return|rmeove remove|satisifed satisfied|scedule schedule|schdule schedule|secuirty security
securtiy security|selction selection|seleciton selection|sentance sentence|seperate separate
seperated separated|seperately separately|seperation separation|seperator separator|seprate separate
sequece sequence|sequnece sequence|serach search|serivce service|servcie service|sevrer server|sholud should
shoud should|shoudl should|shouldnt shouldn't|shuold should|similiar similar|simlar similar|simliar similar
singal signal|smae same|soem some|soemthing something|somehting something|somthing something|speach speech
spearate separate|specfic specific|specifc specific|specifed specified|specificaly specifically
srting string|ssytem system|stirng string|strcuture structure|strign string|structre structure
struture structure|sturcture structure|subseqent subsequent|succes success|succesful successful
succesfully successfully|successfull successful|successfuly successfully|sucess success|sucessful successful
sugest suggest|supoprt support|suport support|suported supported|supress suppress|suprise surprise
surpress suppress|swich switch|swtich switch|synchronus synchronous|syncronize synchronize
syncronous synchronous|syntaxt syntax|sysetm system|sytem system|tabel table|taht that|talbe table|teh the
tehre there|temlate template|tempalte template|templte template|temporarly temporarily|temporay temporary
tempory temporary|theyre they're|thier their|thign thing|thigns things|thorught through|threshhold threshold
thrid third|throught through|thsi this|tihs this|timestmap timestamp|tomorow tomorrow|tpye type
tranform transform|tranlsate translate|transction transaction|transfered transferred|truely truly|tyep type
udpate update|udpated updated|uisng using|unecessary unnecessary|unneccessary unnecessary
unnecesary unnecessary|untill until|upadte update|upadted updated|upate update|updaet update|usefull useful
useing using|usign using|utlity utility|vaild valid|vairable variable|valdiate validate|valeu value
validaton validation|varaible variable|varaibles variables|variabel variable|varialbe variable
varible variable|vaule value|vaules values|veiw view|verfiy verify|verion version|verison version
versoin version|visable visible|vlaue value|waht what|wehn when|whcih which|wheter whether|whihc which
wich which|widht width|wierd weird|wiht with|wihtout without|wirte write|withou without|wnat want
wokring working|worflow workflow|workign working|woudl would|wouldnt wouldn't|writen written
writting writing|wrokflow workflow|wroking working|wrtie write|yeild yield|yoru your|youre you're|yuo you
"""
